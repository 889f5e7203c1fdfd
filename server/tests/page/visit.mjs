// One visit: a browser with one tab, the person in it, and what the tests ask of whatever is shown.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { accessibilityFaults, launch, openTab, overflow, stillness } from './browser.mjs';
import { lineTo } from './line.mjs';

export const [server, shots] = process.argv.slice(2);
const { CARDCTL_OPERATOR_TOKEN: operator, RESTART: restarting } = process.env;
if (!server || !shots || !operator || !restarting) {
  console.error('usage: CARDCTL_OPERATOR_TOKEN=… RESTART=… node page.mjs <base URL> <folder for screenshots>');
  process.exit(2);
}
await mkdir(shots, { recursive: true });

/** Between the browser and the server, so that a connection can break as it does in life. */
export const line = await lineTo(server);
export const base = line.url;

export const user = { username: `page-${randomUUID().slice(0, 13)}`, password: `correct horse ${randomUUID()}` };
export const browser = await launch();
export const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
export const complaints = [];
export const expected = new Set();
export const tab = await openTab(context, complaints, expected);

export const heading = (name) => tab.getByRole('heading', { name, exact: true });
export const shown = (locator) => locator.waitFor({ state: 'visible' });
export const shoot = async (name) => {
  await stillness(tab);
  await tab.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};
export const path = (request) => new URL(request.url()).pathname;
/** A picture of what is in the window. */
export const snap = (name) => tab.screenshot({ path: join(shots, `${name}.png`) });
export const press = async (...keys) => { for (const key of keys) await tab.keyboard.press(key); };

/** Looks again and again until it holds. */
export async function eventually(what, holds) {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `it never came to be: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** A picture of each: light, dark and on a phone. */
export async function shootAll(name) {
  await shoot(`${name}-light`);
  await tab.emulateMedia({ colorScheme: 'dark' });
  await shoot(`${name}-dark`);
  await tab.emulateMedia({ colorScheme: 'light' });
  await tab.setViewportSize({ width: 320, height: 640 });
  await shoot(`${name}-phone`);
  await tab.setViewportSize({ width: 1280, height: 900 });
}

/** Statuses that Chromium may complain about while `work` runs, because the test provokes them. */
export async function provoking(statuses, work) {
  statuses.forEach((status) => expected.add(status));
  try {
    return await work();
  } finally {
    statuses.forEach((status) => expected.delete(status));
  }
}

/** Every request that the tab sends while `work` runs. */
export async function requestsDuring(work) {
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

export async function isSound(view) {
  for (const colorScheme of ['light', 'dark']) {
    await tab.emulateMedia({ colorScheme });
    assert.deepEqual(await accessibilityFaults(tab), [], `${view}, ${colorScheme}`);
  }
  await tab.emulateMedia({ colorScheme: 'light' });
  await tab.setViewportSize({ width: 320, height: 640 });
  assert.equal(await overflow(tab), 0, `${view} scrolls sideways at 320 px`);
  await tab.setViewportSize({ width: 1280, height: 900 });
}

export const problem = (status, code, more = {}, headers = {}) => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({ type: code, title: code, status, detail: `Played ${code}`, code, ...more }),
});

/** The tokens of the one who is logged in. */
export const tokens = () => tab.evaluate(() => JSON.parse(sessionStorage.getItem('cardctl.session')));

/** What the user's own programs do meanwhile, past the page. */
export async function api(method, call, body) {
  const { access } = await tokens();
  const response = await fetch(`${server}/api/v1${call}`, {
    method,
    headers: { authorization: `Bearer ${access}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${call}: ${response.status}`);
  return response.json();
}

/** Kills the platform and starts it again. */
export const restart = () => promisify(execFile)(restarting);

/** What an operator does meanwhile, from elsewhere. */
export async function operate(call, body) {
  const response = await fetch(`${server}/api/v1/${call}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${call}: ${response.status}`);
}
