// The view of cards.

import assert from 'node:assert/strict';

import { focused, openTab } from './browser.mjs';
import {
  base, complaints, context, expected, heading, isSound, operate, path, press, problem, provoking, requestsDuring, shoot, shown,
  tab,
} from './visit.mjs';

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

export const cards = {
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
    // An impatient second press asks for no second page.
    await tab.getByRole('button', { name: 'Show older requests' }).evaluate((button) => { button.click(); button.click(); });
    await shown(tab.locator('#history li').nth(5));
    assert.equal(await tab.locator('#history li').count(), 6);
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
      const first = state({}, 1) + state({ status: 'running', started_at: at, attempts: 1 })
        + ': keep-alive\n\n' + state({ status: 'retrying', started_at: at, attempts: 1, error }, 2);
      if (cursors.length > 1) await mayFinish;
      await route.fulfill({
        contentType: 'text/event-stream',
        body: cursors.length === 1 ? first
          : state({ status: 'dead', started_at: at, attempts: 5, settled_at: at, error }, 3),
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
    assert.deepEqual(cursors, ['', '2']);
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
};
