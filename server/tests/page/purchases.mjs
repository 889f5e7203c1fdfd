// The view of purchases.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import { focused, openTab, overflow } from './browser.mjs';
import {
  api, base, complaints, context, eventually, expected, heading, isSound, line, operate, path, press, problem, provoking,
  requestsDuring, restart, shoot, shootAll, shots, shown, snap, tab, tokens, user,
} from './visit.mjs';

const item = tab.locator('#buy-item');
const price = tab.locator('#buy-price');
const submit = tab.locator('#buy [type=submit]');
const rows = tab.locator('#bought .purchase');
const orders = tab.locator('#orders .order');
const order = (name) => orders.filter({ hasText: name });
const isPurchase = (method, url) => method === 'POST' && url.endsWith('/purchases');

async function fill(what, amount) {
  await item.fill(what);
  await price.fill(amount);
}

async function buy(what, amount) {
  await fill(what, amount);
  await submit.click();
}

async function bought(what) {
  await shown(order(what).getByText('Confirmed'));
  await shown(rows.filter({ hasText: what }).first());
}

const count = async () => (await api('GET', '/purchases/summary')).count;
const figure = (name) => tab.locator(`#bought-summary div:has(dt:text-is("${name}")) dd`);
const spoken = () => tab.evaluate(() => globalThis.spoken);
/** Without what is said of those that take a second or more: that they were accepted. */
const spokenInTheEnd = async () => (await spoken()).filter((text) => !text.includes('Stored safely'));
const top = (row) => row.evaluate((one) => Math.round(one.getBoundingClientRect().top));

/** Ids of the whole history, as the API has it. */
async function all() {
  const ids = [];
  for (let next = ''; next !== null;) {
    const page = await api('GET', `/purchases?limit=200${next && `&cursor=${encodeURIComponent(next)}`}`);
    ids.push(...page.items.map(({ id }) => id));
    next = page.next;
  }
  return ids;
}

const ids = () => rows.evaluateAll((list) => list.map((row) => row.dataset.purchase));

/** All that a screen reader was asked to say since, from now on. */
const listen = () => tab.evaluate(() => {
  globalThis.spoken = [];
  globalThis.ear ??= new MutationObserver((changes) => changes.forEach(({ addedNodes }) => {
    addedNodes.forEach((node) => globalThis.spoken.push(node.textContent));
  }));
  globalThis.ear.observe(document.getElementById('announcer'), { childList: true });
});

const MARKUP = '<img src=x onerror="document.title=\'taken\'"><b>bold</b>';
const ARABIC = 'قهوة عربية مع الهيل (200 غ)';
const REVERSED = 'gift \u202egpj.exe';
const LONG = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'.repeat(3).slice(0, 200);

export const purchases = {
  async 'a link leads to the purchases, and the browser’s way back leads back'() {
    const cards = tab.getByRole('link', { name: 'Cards', exact: true });
    const link = tab.getByRole('link', { name: 'Purchases', exact: true });
    assert.equal(await cards.getAttribute('aria-current'), 'page');
    await link.focus();
    await press('Enter');
    await shown(heading('Your purchases'));
    await shown(tab.getByText('Nothing bought yet'));
    const isThere = async () => {
      assert.equal(await focused(tab), 'purchases-title');
      assert.equal(await tab.title(), 'Your purchases · cardctl');
      assert.equal(await link.getAttribute('aria-current'), 'page');
      assert.equal(await cards.getAttribute('aria-current'), null);
      assert.equal(await heading('Your cards').isVisible(), false);
    };
    await isThere();
    await isSound('the empty purchases');
    await shootAll('purchases-empty');
    await tab.goBack();
    await shown(heading('Your cards'));
    assert.equal(await focused(tab), 'cards-title');
    assert.equal(await tab.title(), 'Your cards · cardctl');
    assert.equal(await cards.getAttribute('aria-current'), 'page');
    await tab.goForward();
    await shown(heading('Your purchases'));
    await isThere();
    // The way past the head of the page is no way to another view.
    await tab.locator('.skip').focus();
    await press('Enter');
    assert.equal(await focused(tab), 'main');
    assert.ok(tab.url().endsWith('#/purchases'), tab.url());
    await tab.reload();
    await shown(heading('Your purchases'));
  },

  async 'what is wrong with a purchase is said at its field, in the words of the API'() {
    await price.focus();
    await press('Enter');
    assert.equal(await tab.locator('#buy-price-error').textContent(), 'Enter the price.');
    assert.equal(await price.getAttribute('aria-invalid'), 'true');
    assert.match(await price.getAttribute('aria-describedby'), /buy-price-error/);
    await provoking([422], async () => {
      for (const odd of ['12,50', '0', '-1', '1.23456', '1e3', 'NaN', '٣', '1000000000000.0001']) {
        await buy('', odd);
        await shown(tab.locator('#buy-price-error').getByText('Must be a number above 0'));
        assert.equal(await focused(tab), 'buy-price');
      }
      await buy('x'.repeat(10_000), '1');
      await shown(tab.locator('#buy-item-error').getByText('1 to 200 characters'));
      assert.equal(await focused(tab), 'buy-item');
      assert.equal(await price.getAttribute('aria-invalid'), null);
      await fill('a kettle', '12,50');
      await price.press('Enter');
      await shown(tab.locator('#buy-price-error'));
    });
    assert.equal(await count(), 0);
    await isSound('a purchase with errors');
    await shootAll('purchases-errors');
  },

  async 'a purchase is confirmed live, without polling, said once, and on top of the history'() {
    await listen();
    await fill('a kettle', '0.0001');
    const seen = await requestsDuring(async () => {
      await price.press('Enter');
      await bought('a kettle');
    });
    const paths = seen.map(path).filter((one) => one.startsWith('/api/'));
    assert.deepEqual(paths.sort(), ['/api/v1/events', '/api/v1/purchases', '/api/v1/purchases', '/api/v1/purchases/summary']);
    assert.deepEqual(await spokenInTheEnd(), ['Confirmed: a kettle, 0.0001.']);
    assert.equal(await focused(tab), 'buy-item', 'ready for the next');
    assert.equal(await price.inputValue(), '');
    // Read your own write: the history is asked for as of the event that confirmed it.
    const asked = seen.filter((request) => request.method() === 'GET' && path(request).startsWith('/api/v1/purchases'));
    const accepted = (await seen.find((request) => request.method() === 'POST').response()).headers()['x-sequence'];
    for (const request of asked) assert.ok(BigInt(request.headers()['x-min-sequence']) > BigInt(accepted), path(request));
    await isSound('a purchase');
  },

  async 'amounts are exact, whatever their size'() {
    await buy('everything', '999999999999.9999');
    await bought('everything');
    await shown(figure('Total').getByText('1,000,000,000,000.00', { exact: true }));
    await shown(rows.first().getByText('999,999,999,999.9999', { exact: true }));
    await buy('one more', '9007199254.0993');
    await bought('one more');
    await shown(figure('Total').getByText('1,009,007,199,254.0993', { exact: true }));
    assert.equal(await figure('Purchases').textContent(), '3');
  },

  async 'a double click and a key that is held buy once, and so does an impatient second'() {
    const before = await count();
    await fill('two clicks', '2.50');
    // As fast as hands are: the first click has its answer before the second comes.
    await submit.dblclick({ delay: 100 });
    await bought('two clicks');
    assert.equal(await tab.locator('#buy-price-error').isVisible(), false);
    await fill('a held key', '2.50');
    await price.focus();
    await tab.keyboard.down('Enter');
    await tab.keyboard.down('Enter');
    await bought('a held key');
    await tab.keyboard.down('Enter');
    await tab.keyboard.up('Enter');
    assert.equal(await tab.locator('#buy-price-error').isVisible(), false);
    await fill('impatience', '2.50');
    await tab.evaluate(() => { for (let time = 0; time < 5; time += 1) document.getElementById('buy').requestSubmit(); });
    await bought('impatience');
    assert.equal(await count(), before + 3);
  },

  async 'an answer that was lost is asked for again with the same key, after a reload as well'() {
    const before = await count();
    const keys = [];
    const note = (request) => { if (isPurchase(request.method(), request.url())) keys.push(request.headers()['idempotency-key']); };
    tab.on('request', note);
    await provoking(['network'], async () => {
      line.losing(isPurchase);
      await buy('lost and found', '3.25');
      await shown(tab.getByRole('alert').getByText('can’t be reached'));
      await eventually('accepted all the same', async () => await count() === before + 1);
      await tab.reload();
      await shown(tab.getByRole('alert').getByText('It is not known whether this purchase arrived'));
      await isSound('a purchase whose answer was lost');
      await shoot('purchases-lost');
      assert.deepEqual([await item.inputValue(), await price.inputValue()], ['lost and found', '3.25']);
      await submit.click();
      await shown(tab.getByRole('alert').getByText('can’t be reached'));
    });
    line.losing();
    await submit.click();
    await bought('lost and found');
    tab.off('request', note);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1, `one intention, one key: ${keys}`);
    assert.equal(await count(), before + 1);
    // Wanted again, it is another purchase.
    await buy('lost and found', '3.25');
    await eventually('bought again', async () => await count() === before + 2);
    await eventually('shown twice', async () => await rows.filter({ hasText: 'lost and found' }).count() === 2);
    await tab.reload();
    await shown(rows.first());
    assert.equal(await item.inputValue(), '');
  },

  async 'a purchase that came through unheard is found again while another waits'() {
    const before = await count();
    await provoking(['network'], async () => {
      line.losing(isPurchase);
      await buy('unheard', '6');
      await shown(tab.getByRole('alert').getByText('can’t be reached'));
      line.losing();
    });
    await eventually('recorded', async () => await count() === before + 1);
    await operate('queue/pause');
    await buy('meanwhile', '1');
    await shown(tab.locator('#orders-link').getByText('Live'));
    // The stream begins after the end of the first: it is asked for.
    await buy('unheard', '6');
    await bought('unheard');
    await shown(order('meanwhile').getByText('Waiting'));
    await operate('queue/resume');
    await bought('meanwhile');
    assert.equal(await count(), before + 2);
  },

  async 'what happened while the log forgot is read instead'() {
    const before = await count();
    const cursors = [];
    let go;
    const mayGo = new Promise((resolve) => { go = resolve; });
    await tab.route('**/api/v1/events', async (route) => {
      cursors.push(route.request().headers()['last-event-id'] ?? '');
      if (cursors.length > 1) return route.continue();
      await mayGo;
      return route.fulfill({ contentType: 'text/event-stream', body: 'event: reset\ndata: {"from":1}\n\n' });
    });
    await buy('in a gap', '2');
    await eventually('recorded', async () => await count() === before + 1);
    assert.equal(await order('in a gap').getByText('Confirmed').isVisible(), false);
    go();
    await bought('in a gap');
    assert.match(cursors[0], /^\d+$/, 'from the place of the purchase itself');
    assert.equal(cursors[1], '', 'from now on');
    await tab.unroute('**/api/v1/events');
  },

  async 'what waits is shown as waiting, through a broken line and a reload, and confirmed when it is'() {
    await operate('queue/pause');
    const before = await count();
    await listen();
    await buy('a slow boat', '100');
    await buy('', '7.5');
    await shown(order('a slow boat').getByText('Waiting'));
    await shown(order('Unnamed').getByText('Waiting'));
    await shown(tab.locator('#orders-link').getByText('Live'));
    await eventually('said to be accepted', async () => (
      (await spoken()).includes('a slow boat, 100. Stored safely. It waits for its turn.')));
    await isSound('purchases that wait');
    await shootAll('purchases-waiting');
    await provoking(['network'], async () => {
      line.down();
      await shown(tab.locator('#orders-link').getByText('Reconnecting…'));
      await shoot('purchases-offline');
      await buy('offline', '1');
      await shown(tab.getByRole('alert').getByText('can’t be reached'));
      await item.fill('');
      await price.fill('');
      line.up();
      await shown(tab.locator('#orders-link').getByText('Live'));
    });
    await tab.reload();
    await shown(order('a slow boat').getByText('Waiting'));
    await shown(tab.locator('#orders-link').getByText('Live'));
    // What never arrived is asked about, and forgotten if nobody wants it any more.
    assert.equal(await item.inputValue(), 'offline');
    await tab.getByRole('button', { name: 'Forget it' }).press('Enter');
    assert.equal(await focused(tab), 'buy-title');
    assert.equal(await item.inputValue(), '');
    await listen();
    await operate('queue/resume');
    await bought('a slow boat');
    await bought('Unnamed');
    assert.deepEqual((await spokenInTheEnd()).sort(), ['Confirmed: A purchase, 7.50.', 'Confirmed: a slow boat, 100.00.']);
    assert.equal(await count(), before + 2);
    assert.equal(await tab.locator('#orders-link').isVisible(), false);
  },

  async 'a server that is killed and started again loses no purchase, and the page goes on by itself'() {
    const before = await count();
    await operate('queue/pause');
    await buy('through a crash', '8');
    await shown(tab.locator('#orders-link').getByText('Live'));
    await listen();
    await provoking(['network', 503], async () => {
      await restart();
      await eventually('connected again', async () => (await spoken()).includes('Connected again.'));
    });
    await operate('queue/resume');
    await bought('through a crash');
    assert.deepEqual(await spokenInTheEnd(), ['The connection is lost. Reconnecting.', 'Connected again.', 'Confirmed: through a crash, 8.00.']);
    assert.equal(await count(), before + 1);
  },

  async 'one that is called off says so, and is in no history'() {
    await operate('queue/pause');
    const before = await count();
    await buy('a whim', '5');
    await shown(order('a whim').getByText('Waiting'));
    await listen();
    await operate(`tasks/${await order('a whim').getAttribute('data-task')}/cancel`, { reason: 'suspected fraud' });
    await shown(order('a whim').getByText('Called off', { exact: true }));
    assert.deepEqual(await spokenInTheEnd(), [
      'Not recorded: a whim, 5. Called off by us before it was done. Nothing was recorded, and you can buy it again.']);
    assert.ok(!(await tab.content()).includes('fraud'));
    await operate('queue/resume');
    assert.equal(await count(), before);
    await isSound('a purchase that was called off');
    await shoot('purchases-cancelled');
  },

  async 'items are text, whatever they say and however they are written'() {
    for (const what of [MARKUP, ARABIC, REVERSED, LONG]) {
      await buy(what, '19.99');
      await shown(rows.first().getByText(what, { exact: true }));
    }
    assert.equal(await tab.locator('#purchases-view :is(img, b)').count(), 0);
    assert.equal(await tab.title(), 'Your purchases · cardctl');
    assert.equal(await rows.filter({ hasText: 'gpj.exe' }).locator('bdi').count(), 1, 'it turns nothing but itself around');
    await isSound('purchases of all kinds');
    await shootAll('purchases-texts');
  },

  async 'a busy server says when to come back, and one click then is the same purchase'() {
    const keys = [];
    const answers = [
      (route) => route.fulfill(problem(429, 'rate-limited', {}, { 'retry-after': '1' })),
      (route) => route.fulfill(problem(503, 'overloaded', {}, { 'retry-after': '1' })),
      (route) => route.continue(),
    ];
    await tab.route('**/api/v1/purchases', async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      return answers[keys.length - 1](route);
    });
    await provoking([429, 503], async () => {
      await buy('patience', '1');
      for (let time = 1; time <= 2; time += 1) {
        await shown(tab.getByRole('alert').getByText('Try again in 1 second.'));
        if (time === 1) await shoot('purchases-busy');
        await shown(tab.getByRole('button', { name: 'Buy', exact: true }));
        await submit.click();
        await eventually('sent', () => keys.length > time);
      }
    });
    await bought('patience');
    assert.equal(new Set(keys).size, 1, `one intention, one key: ${keys}`);
    await tab.unroute('**/api/v1/purchases');
  },

  async 'the history comes as one scrolls: each once, none left out, and it says where it ends'() {
    for (let round = 0; round < 8; round += 1) {
      await Promise.all(Array.from({ length: 15 }, (_, one) => (
        api('POST', '/purchases', { price: `${round}.${one + 10}`, item: `round ${round}, number ${one}` }))));
    }
    await eventually('recorded', async () => await count() >= 120);
    await tab.reload();
    await shown(rows.first());
    const seen = await requestsDuring(async () => {
      await eventually('the end', async () => {
        await tab.mouse.wheel(0, 1500);
        return tab.getByText('That is all.').isVisible();
      });
    });
    assert.deepEqual(await ids(), await all());
    assert.equal(await tab.locator('#more-bought').isVisible(), false);
    const pages = seen.filter((request) => path(request).endsWith('/purchases'));
    assert.equal(pages.length, new Set(pages.map((request) => request.url())).size, 'no page is asked for twice');
    await isSound('a long history');
    await tab.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await snap('purchases-end');
  },

  async 'a new purchase leaves in place what is being read'() {
    for (const size of [{ width: 1280, height: 900 }, { width: 320, height: 640 }]) {
      await tab.setViewportSize(size);
      await operate('queue/pause');
      await tab.evaluate(() => window.scrollTo(0, 0));
      await buy(`while reading at ${size.width}`, '1');
      await shown(order(`while reading at ${size.width}`).getByText('Waiting'));
      await rows.nth(40).scrollIntoViewIfNeeded();
      const read = rows.filter({ hasText: await rows.nth(40).locator('.item').textContent() }).first();
      const before = await top(read);
      await operate('queue/resume');
      await eventually('on top', async () => (await rows.first().textContent()).includes(`while reading at ${size.width}`));
      await eventually('confirmed', async () => (await orders.first().textContent()).includes('Confirmed'));
      assert.ok(Math.abs(await top(read) - before) <= 1, `moved by ${await top(read) - before} at ${size.width}`);
    }
    await tab.setViewportSize({ width: 1280, height: 900 });
    await snap('purchases-scrolled');
  },

  async 'a button brings the rest where nothing comes by itself, and the keyboard goes on with it'() {
    const still = await openTab(context, complaints, expected);
    await still.addInitScript(([key, kept]) => {
      sessionStorage.setItem(key, kept);
      globalThis.IntersectionObserver = class { observe() {} unobserve() {} };
    }, ['cardctl.session', JSON.stringify(await tokens())]);
    await still.goto(`${base}/#/purchases`);
    const more = still.getByRole('button', { name: 'Show more' });
    await shown(more);
    assert.equal(await still.locator('#bought .purchase').count(), 25);
    const first = (await all())[25];
    await more.press('Enter');
    await eventually('more', async () => await still.locator('#bought .purchase').count() === 50);
    assert.equal(await still.evaluate(() => document.activeElement.dataset.purchase), first);
    await still.screenshot({ path: join(shots, 'purchases-more.png') });
    // Two clicks are one page.
    await more.dblclick();
    await eventually('more', async () => await still.locator('#bought .purchase').count() >= 75);
    await still.close();
  },

  async 'older pages that fail to come say so, and come when asked again'() {
    await tab.reload();
    await shown(rows.first());
    await tab.route(/cursor=/, (route) => route.fulfill(problem(503, 'overloaded', {}, { 'retry-after': '2' })));
    const again = tab.locator('#more-bought');
    await provoking([503], async () => {
      await tab.locator('#more-bought').scrollIntoViewIfNeeded();
      await shown(tab.getByRole('alert').getByText('Try again in 2 seconds.'));
      await shown(again.getByText('Try again'));
      await isSound('a page that did not come');
      await tab.locator('#more-bought').scrollIntoViewIfNeeded();
      await snap('purchases-older-failed');
    });
    await tab.unroute(/cursor=/);
    const before = await rows.count();
    await again.press('Enter');
    await eventually('more', async () => await rows.count() > before);
    assert.equal(await tab.locator('#older-notice').isVisible(), false);
    await eventually('the keyboard is there', async () => (await tab.evaluate(() => document.activeElement.dataset.purchase)));
    await provoking(['network'], async () => {
      line.down();
      await tab.locator('#to-cards').click();
      await shown(tab.locator('#cards-notice').getByText('can’t be reached'));
      await tab.locator('#cards-notice').getByRole('button', { name: 'Try again' }).press('Enter');
      assert.equal(await focused(tab), 'cards-title', 'the keyboard is not lost with the button');
      await shown(tab.locator('#cards-notice').getByText('can’t be reached'));
      await tab.locator('#to-purchases').click();
      await shown(tab.locator('#bought-notice').getByText('can’t be reached'));
      await shoot('purchases-unreachable');
      line.up();
    });
    const answers = ['/purchases?limit', '/purchases/summary'].map((part) => (
      tab.waitForResponse((response) => response.url().includes(part) && response.status() < 400)));
    await tab.locator('#bought-notice').getByRole('button', { name: 'Try again' }).press('Enter');
    assert.equal(await focused(tab), 'bought-title');
    await Promise.all(answers);
    assert.equal(await tab.locator('#bought-notice').isVisible(), false);
  },

  async 'what has not changed is not sent again'() {
    const statuses = [];
    const note = (response) => {
      const url = response.url();
      if (url.includes('/api/v1/purchases') && !url.includes('cursor=')) statuses.push(response.status());
    };
    tab.on('response', note);
    await tab.locator('#to-cards').click();
    await tab.locator('#to-purchases').click();
    await eventually('asked', () => statuses.length === 2);
    tab.off('response', note);
    assert.deepEqual(statuses, [304, 304]);
    assert.ok(await rows.count() >= 25);
  },

  async 'days choose what is shown and summed up'() {
    const now = await count();
    const today = await tab.evaluate(() => {
      const date = new Date();
      return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
    });
    const show = tab.getByRole('button', { name: 'Show', exact: true });
    await tab.locator('#range-from').fill('2001-02-03');
    await tab.locator('#range-to').fill('2001-02-02');
    await show.press('Enter');
    assert.equal(await tab.locator('#range-to-error').textContent(), 'The last day must not be before the first.');
    assert.equal(await focused(tab), 'range-to');
    await isSound('days in the wrong order');
    await shoot('purchases-days');
    await tab.locator('#range-to').fill('2001-02-03');
    await show.press('Enter');
    await shown(tab.getByText('Nothing in this time'));
    assert.equal(await figure('Purchases').textContent(), '0');
    assert.equal(await figure('Total').textContent(), '0.00');
    await isSound('days without a purchase');
    await shoot('purchases-no-days');
    await tab.locator('#range-from').fill(today);
    await tab.locator('#range-to').fill(today);
    await show.press('Enter');
    await eventually('today', async () => await figure('Purchases').textContent() === String(now));
    await tab.getByRole('button', { name: 'All days' }).press('Enter');
    assert.equal(await focused(tab), 'bought-title');
    await eventually('all', async () => await figure('Purchases').textContent() === String(now) && await rows.count() >= 25);
    assert.equal(await tab.locator('#range-from').inputValue(), '');
  },

  async 'a session that ends in the middle of a purchase goes on after the log-in'() {
    const before = await count();
    const { refresh } = await tokens();
    const ended = await fetch(`${base}/api/v1/sessions`, { method: 'DELETE', headers: { authorization: `Bearer ${refresh}` } });
    assert.equal(ended.status, 204);
    await provoking([401], async () => {
      await buy('across sessions', '4.40');
      await shown(tab.getByRole('alert').getByText('Your session has ended'));
    });
    assert.equal(await focused(tab), 'log-in-title');
    assert.ok(!(await tab.content()).includes('across sessions'));
    await tab.getByRole('textbox', { name: 'User name' }).fill(user.username);
    await tab.locator('#log-in-password').fill(user.password);
    await press('Enter');
    await shown(heading('Your purchases'));
    assert.deepEqual([await item.inputValue(), await price.inputValue()], ['across sessions', '4.40']);
    await submit.click();
    await bought('across sessions');
    assert.equal(await count(), before + 1);
  },

  async 'the purchases are fine on a phone and in the dark, and stand still for those who ask'() {
    await tab.reload();
    await shown(rows.first());
    await buy('a last lamp', '24.90');
    await bought('a last lamp');
    for (const width of [320, 400, 760, 900]) {
      await tab.setViewportSize({ width, height: 800 });
      assert.equal(await overflow(tab), 0, `at ${width}`);
      await snap(`purchases-${width}`);
    }
    await tab.setViewportSize({ width: 1280, height: 900 });
    await snap('purchases');
    await tab.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await snap('purchases-dark');
    assert.deepEqual(await tab.evaluate(() => document.getAnimations().length), 0);
    await tab.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
  },
};
