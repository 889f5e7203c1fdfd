// Drives the page at `/` of a running server in headless Chromium, as a person with a keyboard would.
//
//   CARDCTL_OPERATOR_TOKEN=… RESTART=<program that kills the server and starts it again> \
//     node page.mjs <base URL> <folder for screenshots>
//
// Each test builds on the one before, as a visit does. A connection that breaks is broken for real (line.mjs), a
// server that dies is killed. What a
// healthy server does too rarely to wait for (a 503, an issuer that fails) is played by intercepting that one answer;
// everything else is the server's.

import { comingIn, goingOut } from './access.mjs';
import { cards } from './cards.mjs';
import { purchases } from './purchases.mjs';
import { browser, complaints, line, shoot } from './visit.mjs';

const tests = { ...comingIn, ...cards, ...purchases, ...goingOut };

let passed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    console.log(`FAIL  ${name}\n      ${String(error.message).replaceAll('\n', '\n      ')}`);
    complaints.forEach((complaint) => console.log(`      ${complaint}`));
    await shoot('failed').catch(() => {});
    break;
  }
}
const failed = Object.keys(tests).length - passed;
if (failed > 1) console.log(`      ${failed - 1} more count as failed: they build on this one`);
await browser.close();
line.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
