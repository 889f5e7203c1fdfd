// The browser that the page test drives, and what is asked of every view whatever it shows.

import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';

import { chromium } from 'playwright-core';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Headless Chromium of the machine with a profile of its own; `CHROMIUM` names another executable. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
}

/**
 * Opens a tab and collects what it complains about: console errors and warnings, uncaught errors and violations of
 * the content security policy. Chromium logs every 4xx and 5xx answer; those that a test provokes are told apart by
 * `expected` (a set of statuses).
 */
export async function openTab(context, complaints, expected = new Set()) {
  const tab = await context.newPage();
  tab.setDefaultTimeout(15_000);
  tab.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const status = /the server responded with a status of (\d+)/.exec(message.text())?.[1];
    if (expected.has(Number(status))) return;
    if (expected.has('network') && /net::ERR_[A-Z_]+/.test(message.text())) return;
    complaints.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
  });
  tab.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  await tab.exposeFunction('reportViolation', (text) => complaints.push(`content security policy: ${text}`));
  await tab.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.reportViolation(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return tab;
}

/** What axe-core finds against WCAG 2.2 A and AA and its best practices, one line each. */
export async function accessibilityFaults(tab) {
  await tab.evaluate(AXE);
  const { violations } = await tab.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target }) => `${id}: ${help} (${target.join(' ')})`));
}

/** By how many pixels the page is wider than its window. */
export const overflow = (tab) => tab.evaluate(
  () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
);

/** What has the keyboard: its id or accessible text. */
export const focused = (tab) => tab.evaluate(() => {
  const { id, textContent } = document.activeElement;
  return id || textContent.trim();
});

/** Waits for the movements that come to an end, so that a picture shows what they lead to. */
export const stillness = (tab) => tab.waitForFunction(
  () => document.getAnimations().every(({ playState, effect }) => (
    playState === 'finished' || effect.getTiming().iterations === Infinity)),
);
