// Coming in and going out.

import assert from 'node:assert/strict';

import { focused } from './browser.mjs';
import { base, browser, complaints, heading, isSound, press, provoking, shoot, shown, tab, user } from './visit.mjs';

export const comingIn = {
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
    assert.equal(await focused(tab), 'cards-title');
    await shown(tab.getByText('No card yet'));
    await isSound('the empty account');
    await shoot('account-empty');
  },
};

export const goingOut = {
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

  async 'a wrong password is refused in words, the right one leads back to where one was'() {
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
    await shown(tab.locator('#bought .purchase').first());
    assert.equal(await focused(tab), 'purchases-title');
    await tab.getByRole('link', { name: 'Cards', exact: true }).click();
    await shown(tab.locator('#cards [data-status=active]'));
  },

  async 'nothing was complained about on the way'() {
    assert.deepEqual(complaints, []);
  },
};
