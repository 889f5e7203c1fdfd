// Drives the page at `/` of a running server in headless Chromium, as a person with a keyboard would.
//
//   CARDCTL_OPERATOR_TOKEN=… node page.mjs <base URL> <folder for screenshots>
//
// Each test builds on the one before, as a visit does. What a healthy server does too rarely to wait for (a broken
// connection, a 503, an issuer that fails) is played by intercepting that one answer; everything else is the server's.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { accessibilityFaults, focused, launch, openTab, overflow, stillness } from './browser.mjs';

const [base, shots] = process.argv.slice(2);
const operator = process.env.CARDCTL_OPERATOR_TOKEN;
if (!base || !shots || !operator) {
  console.error('usage: CARDCTL_OPERATOR_TOKEN=… node page.mjs <base URL> <folder for screenshots>');
  process.exit(2);
}
await mkdir(shots, { recursive: true });

const user = { username: `page-${randomUUID().slice(0, 13)}`, password: `correct horse ${randomUUID()}` };
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
const complaints = [];
const expected = new Set();
const tab = await openTab(context, complaints, expected);

const heading = (name) => tab.getByRole('heading', { name, exact: true });
const shown = (locator) => locator.waitFor({ state: 'visible' });
const shoot = async (name) => {
  await stillness(tab);
  await tab.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};
const path = (request) => new URL(request.url()).pathname;
const press = async (...keys) => { for (const key of keys) await tab.keyboard.press(key); };

/** Statuses that Chromium may complain about while `work` runs, because the test provokes them. */
async function provoking(statuses, work) {
  statuses.forEach((status) => expected.add(status));
  try {
    return await work();
  } finally {
    statuses.forEach((status) => expected.delete(status));
  }
}

/** Every request that the tab sends while `work` runs. */
async function requestsDuring(work) {
  const seen = [];
  const note = (request) => seen.push(request);
  tab.on('request', note);
  try {
    await work();
  } finally {
    tab.off('request', note);
  }
  return seen;
}

async function isSound(view) {
  for (const colorScheme of ['light', 'dark']) {
    await tab.emulateMedia({ colorScheme });
    assert.deepEqual(await accessibilityFaults(tab), [], `${view}, ${colorScheme}`);
  }
  await tab.emulateMedia({ colorScheme: 'light' });
  await tab.setViewportSize({ width: 320, height: 640 });
  assert.equal(await overflow(tab), 0, `${view} scrolls sideways at 320 px`);
  await tab.setViewportSize({ width: 1280, height: 900 });
}

const another = tab.getByRole('button', { name: 'Ask for another card' });

async function ask() {
  if (await another.isVisible()) await another.click();
  await tab.getByRole('radio', { name: /^Lost/ }).check();
  await tab.getByRole('button', { name: 'Ask for a new card' }).click();
}

async function replaceAgain() {
  await ask();
  await shown(another);
}

const problem = (status, code, more = {}, headers = {}) => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({ type: code, title: code, status, detail: `Played ${code}`, code, ...more }),
});

/** What an operator does meanwhile, from elsewhere. */
async function operate(call, body) {
  const response = await fetch(`${base}/api/v1/${call}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${call}: ${response.status}`);
}

const tests = {
  async 'the page comes with a strict policy and works without a script'() {
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const page = await plain.newPage();
    const policy = (await page.goto(base)).headers()['content-security-policy'] ?? '';
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
      assert.ok(policy.includes(part), `${part} is missing in: ${policy}`);
    }
    assert.ok(!policy.includes('unsafe'), policy);
    assert.equal(await page.getByRole('link', { name: 'read the API documentation' }).getAttribute('href'), '/docs');
    assert.equal(await page.getByRole('textbox').count(), 0, 'no form is offered that could not work');
    await plain.close();
  },

  async 'the keyboard meets things in the order in which they stand'() {
    await tab.goto(base);
    await shown(heading('Log in'));
    const order = [];
    for (let step = 0; step < 9; step += 1) {
      await press('Tab');
      order.push(await focused(tab));
    }
    assert.deepEqual(order, ['Skip to the content', 'cardctl', 'log-in-username', 'log-in-password', 'Log in',
      'to-register', 'API documentation', 'OpenAPI description', 'Metrics']);
    await isSound('the log-in view');
    await shoot('welcome-light');
    await tab.emulateMedia({ colorScheme: 'dark' });
    await shoot('welcome-dark');
    await tab.emulateMedia({ colorScheme: 'light' });
    await tab.setViewportSize({ width: 320, height: 640 });
    await shoot('welcome-phone');
    await tab.setViewportSize({ width: 1280, height: 900 });
  },

  async 'what is wrong is said at its field'() {
    await tab.locator('#to-register').focus();
    await press('Enter');
    assert.equal(await focused(tab), 'register-username');
    await press('Enter');
    assert.equal(await tab.locator('#register-username-error').textContent(), 'Enter your user name.');
    assert.equal(await tab.locator('#register-username').getAttribute('aria-invalid'), 'true');
    await provoking([422], async () => {
      await tab.keyboard.type(user.username);
      await press('Tab');
      await tab.keyboard.type('x');
      await press('Enter');
      await shown(tab.locator('#register-password-error'));
    });
    assert.equal(await focused(tab), 'register-password');
    await isSound('the registration with errors');
    await shoot('register-errors');
  },

  async 'registering with the keyboard leads to the account, with no card yet'() {
    await press('Control+a');
    await tab.keyboard.type(user.password);
    await press('Enter');
    await shown(heading('Replace a card'));
    assert.equal(await focused(tab), 'account-title');
    await shown(tab.getByText('No card yet'));
    await isSound('the empty account');
    await shoot('account-empty');
  },

  async 'a replacement asked for with the keyboard brings a card, live and without polling'() {
    const seen = await requestsDuring(async () => {
      await tab.getByRole('radio', { name: /^Lost/ }).focus();
      await press('Space', 'Enter');
      await shown(heading('Your new card is ready'));
      await shown(tab.locator('#cards [data-status=active]'));
    });
    assert.equal(await focused(tab), 'progress-title');
    assert.match(await tab.locator('#announcer').textContent(), /Your new card is ready/);
    const paths = seen.map(path).filter((one) => one.startsWith('/api/'));
    assert.equal(paths.filter((one) => one.endsWith('/events')).length, 1, 'one stream');
    assert.equal(paths.length, 3, `a submission, a stream and the cards: ${paths}`);
    assert.match(await tab.getByRole('list', { name: 'What happened so far' }).textContent(), /accepted.*Card issued/s);
    await isSound('the account with a card');
    await shoot('account-light');
  },

  async 'a second replacement blocks the first card'() {
    await replaceAgain();
    await shown(tab.locator('#cards [data-status=blocked]'));
    assert.equal(await tab.locator('#cards [data-status=active]').count(), 1);
    assert.match(await tab.locator('#cards').ariaSnapshot(), /ending in.*\d{4}/s);
    await isSound('the account with two cards');
  },

  async 'older cards and requests come when asked for, and the focus goes to them'() {
    for (let count = 3; count <= 6; count += 1) {
      await replaceAgain();
      await shown(tab.locator('#history li').nth(count - 1));
      await shown(heading('Your new card is ready'));
    }
    await tab.getByRole('button', { name: 'Show all 6 cards' }).press('Enter');
    assert.equal(await tab.locator('#cards li').count(), 6);
    assert.match(await focused(tab), /Blocked/);
    await tab.reload();
    await tab.getByRole('button', { name: 'Show older requests' }).press('Enter');
    await shown(tab.locator('#history li').nth(5));
    assert.match(await focused(tab), /Card issued/);
    assert.equal(await tab.locator('#more-history').isVisible(), false);
    await shoot('account-many');
  },

  async 'a retried click sends the same key, and a 503 says when'() {
    const keys = [];
    const answers = [
      (route) => route.abort(),
      (route) => route.fulfill(problem(503, 'overloaded', {}, { 'retry-after': '1' })),
      (route) => route.continue(),
    ];
    await tab.route('**/api/v1/replacements', async (route) => {
      if (route.request().method() !== 'POST') return route.continue();
      keys.push(route.request().headers()['idempotency-key']);
      return answers[keys.length - 1](route);
    });
    await tab.getByRole('radio', { name: /^Damaged/ }).check();
    await provoking(['network', 503], async () => {
      await tab.getByRole('button', { name: 'Ask for a new card' }).click();
      await shown(tab.getByRole('alert').getByText('can’t be reached'));
      await tab.getByRole('button', { name: 'Ask for a new card' }).click();
      await shown(tab.getByRole('alert').getByText('Try again in 1 second.'));
      await shoot('request-overloaded');
      await tab.getByRole('button', { name: 'Ask for a new card' }).click();
      await shown(tab.locator('#ask-again'));
    });
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1, `one intention, one key: ${keys}`);
    await tab.unroute('**/api/v1/replacements');
  },

  async 'a replacement that is open already is shown instead, and a cut stream is taken up where it was'() {
    const id = await tab.locator('#progress-id').textContent();
    const at = new Date().toISOString();
    const open = { id, kind: 'replacement', owner: null, run: null, status: 'queued', attempts: 0, accepted_at: at,
      started_at: null, settled_at: null, result: null, error: null };
    const error = { code: 'issuer-unavailable', message: 'The issuer does not answer' };
    const state = (task, seq) => (
      `${seq ? `id: ${seq}\n` : ''}event: state\ndata: ${JSON.stringify({ ...open, ...task })}\n\n`);
    const cursors = [];
    let finish;
    const mayFinish = new Promise((resolve) => { finish = resolve; });
    await tab.route('**/api/v1/replacements', (route) => (route.request().method() === 'POST'
      ? route.fulfill(problem(409, 'replacement-open', { open_task: id })) : route.continue()));
    await tab.route(`**/api/v1/replacements/${id}`, (route) => route.fulfill({ json: open }));
    await tab.route('**/events', async (route) => {
      cursors.push(route.request().headers()['last-event-id'] ?? '');
      const first = state({}, 41) + state({ status: 'running', started_at: at, attempts: 1 })
        + ': keep-alive\n\n' + state({ status: 'retrying', started_at: at, attempts: 1, error }, 42);
      if (cursors.length > 1) await mayFinish;
      await route.fulfill({
        contentType: 'text/event-stream',
        body: cursors.length === 1 ? first
          : state({ status: 'dead', started_at: at, attempts: 5, settled_at: at, error }, 43),
      });
    });
    await tab.getByRole('button', { name: 'Ask for another card' }).click();
    await tab.getByRole('radio', { name: /^Stolen/ }).check();
    await provoking([409], async () => {
      await tab.getByRole('button', { name: 'Ask for a new card' }).click();
      await shown(heading('Trying again soon'));
    });
    await shown(tab.getByText('You already have a request under way. Here it is.'));
    await shown(tab.getByText('Reconnecting…'));
    await isSound('a request that is retried');
    await shoot('progress-retrying');
    await tab.emulateMedia({ colorScheme: 'dark' });
    await shoot('progress-retrying-dark');
    await tab.emulateMedia({ colorScheme: 'light' });
    finish();
    await shown(heading('No card could be issued'));
    await shown(tab.getByText(/We gave up after 5 attempts\. The card issuer is out of order\./).first());
    assert.deepEqual(cursors, ['', '42']);
    await isSound('a request that was given up');
    await shoot('progress-dead');
    await tab.unrouteAll();
  },

  async 'a request that an operator calls off ends, and says so without saying why'() {
    await operate('queue/pause');
    await ask();
    await shown(heading('Request accepted'));
    const id = await tab.locator('#progress-id').textContent();
    await operate(`tasks/${id}/cancel`, { reason: 'suspected mule account' });
    await shown(heading('Your request was called off'));
    await operate('queue/resume');
    await shown(tab.getByText(/Called off by us before it was done\. No card was made, and you can ask again\./).first());
    await shown(tab.locator(`[data-task="${id}"] .badge`, { hasText: 'Called off' }));
    assert.ok(!(await tab.content()).includes('mule'));
    await isSound('a request that was called off');
    await shoot('progress-cancelled');
    await tab.emulateMedia({ colorScheme: 'dark' });
    await shoot('progress-cancelled-dark');
    await tab.emulateMedia({ colorScheme: 'light' });
    // The place is free: the next one goes through.
    await replaceAgain();
    await shown(heading('Your new card is ready'));
  },

  async 'an access token that ended is refreshed once, whoever needs it'() {
    const refused = new Set();
    await tab.route(/\/api\/v1\/(cards|replacements)(\?.*)?$/, (route) => {
      if (refused.has(path(route.request()))) return route.continue();
      refused.add(path(route.request()));
      return route.fulfill(problem(401, 'unauthorized'));
    });
    const seen = await requestsDuring(() => provoking([401], async () => {
      await tab.reload();
      await shown(tab.locator('#cards [data-status=active]'));
      await shown(heading('Replace a card'));
    }));
    assert.equal(seen.filter((request) => path(request).endsWith('/refresh')).length, 1);
    await tab.unrouteAll();
  },

  async 'a duplicated tab shares the refresh, and neither is logged out'() {
    const age = () => {
      const kept = JSON.parse(sessionStorage.getItem('cardctl.session'));
      sessionStorage.setItem('cardctl.session', JSON.stringify({ ...kept, staleAt: 0 }));
    };
    await tab.evaluate(age);
    const kept = await tab.evaluate(() => sessionStorage.getItem('cardctl.session'));
    const copy = await openTab(context, complaints, expected);
    await copy.addInitScript((value) => sessionStorage.setItem('cardctl.session', value), kept);
    let refreshes = 0;
    context.on('request', (request) => { if (path(request).endsWith('/refresh')) refreshes += 1; });
    await Promise.all([tab.reload(), copy.goto(base)]);
    await Promise.all([tab, copy].map((one) => shown(one.locator('#cards [data-status=active]'))));
    assert.equal(refreshes, 1);
    await tab.reload();
    await shown(tab.locator('#cards [data-status=active]'));
    await copy.close();
  },

  async 'the account is fine on a phone and in the dark, and stands still for those who ask'() {
    await tab.setViewportSize({ width: 320, height: 640 });
    await shown(heading('Replace a card'));
    await shoot('account-phone');
    await tab.setViewportSize({ width: 1280, height: 900 });
    await tab.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await shoot('account-dark');
    assert.deepEqual(await tab.evaluate(() => document.getAnimations().length), 0);
    await tab.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
  },

  async 'logging out tells the server and forgets the tokens'() {
    const told = tab.waitForResponse((response) => response.request().method() === 'DELETE');
    const { access } = await tab.evaluate(() => JSON.parse(sessionStorage.getItem('cardctl.session')));
    await tab.getByRole('button', { name: 'Log out' }).press('Enter');
    assert.equal((await told).status(), 204);
    assert.equal(await focused(tab), 'log-in-title');
    const left = await tab.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }));
    assert.equal(left, '{}');
    const content = await tab.content();
    for (const secret of [access, 'class="card"', 'tsk_']) assert.ok(!content.includes(secret), `${secret} is left`);
  },

  async 'a wrong password is refused in words, the right one brings the cards back'() {
    await tab.getByRole('textbox', { name: 'User name' }).fill(user.username);
    await tab.locator('#log-in-password').fill('not the password at all');
    await provoking([401], async () => {
      await press('Enter');
      await shown(tab.getByRole('alert').filter({ hasText: /password/i }));
    });
    await isSound('the log-in with a refusal');
    await shoot('wrong-password');
    await tab.locator('#log-in-password').fill(user.password);
    await press('Enter');
    await shown(tab.locator('#cards [data-status=active]'));
    assert.equal(await focused(tab), 'account-title');
  },

  async 'nothing was complained about on the way'() {
    assert.deepEqual(complaints, []);
  },
};

let passed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    console.log(`FAIL  ${name}\n      ${String(error.message).replaceAll('\n', '\n      ')}`);
    await shoot('failed').catch(() => {});
    break;
  }
}
const failed = Object.keys(tests).length - passed;
if (failed > 1) console.log(`      ${failed - 1} more count as failed: they build on this one`);
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
