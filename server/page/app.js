// The page at `/`: register or log in, replace cards, buy things, watch both happen.
//
//   app.js        this file: who is here, and which view is shown
//   cards.js      the view of cards          purchases.js  the view of purchases
//   dom.js        drawing and forms          words.js      what is said
//   session.js    calls for who is logged in stream.js     the event stream
//   api.js        HTTP and its problems
//
// Nothing is written to the console, and nothing from the server is put into the page as markup.

import { json, send } from './api.js';
import { clearCards, openCards } from './cards.js';
import { $, announce, clearProblem, notice, onSubmit } from './dom.js';
import { clearPurchases, openPurchases } from './purchases.js';
import { session } from './session.js';
import { explain } from './words.js';

// --------------------------------------------------------------------------------------------------- Views

const VIEWS = {
  cards: { title: 'Your cards', open: openCards },
  purchases: { title: 'Your purchases', open: openPurchases },
};

/** The view that the address names: nothing or what follows `#/` is one, anything else is a place on the page. */
const named = () => (/^(#\/|$)/.test(location.hash) ? location.hash.slice(2) : null);
let shown = 'cards';

/** Shows one of the two outer views; `focus` is what a keyboard or screen reader continues from. */
function showOuter(name, title, focus) {
  $('welcome').hidden = name !== 'welcome';
  $('account').hidden = name !== 'account';
  $('who').hidden = name !== 'account';
  $('views').hidden = name !== 'account';
  document.title = `${title} · cardctl`;
  focus?.focus();
}

function showAccess(view, focus) {
  $('log-in-view').hidden = view !== 'log-in';
  $('register-view').hidden = view !== 'register';
  showOuter('welcome', 'Cards and purchases', focus);
}

/** Shows the view that the address names; an address that names none leaves the one that is there. */
function showView(isMoved) {
  const name = named();
  if (name !== null) shown = Object.hasOwn(VIEWS, name) ? name : 'cards';
  for (const view of Object.keys(VIEWS)) {
    $(`${view}-view`).hidden = view !== shown;
    if (view === shown) $(`to-${view}`).setAttribute('aria-current', 'page');
    else $(`to-${view}`).removeAttribute('aria-current');
  }
  showOuter('account', VIEWS[shown].title);
  if (isMoved) {
    window.scrollTo(0, 0);
    $(`${shown}-title`).focus({ preventScroll: true });
  }
  VIEWS[shown].open();
}

globalThis.addEventListener('hashchange', () => {
  if (session.value && named() !== null) showView(true);
});
// The address keeps naming the view.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  $('main').focus();
});

// ------------------------------------------------------------------------------------- Logging in and out

function openAccount(isMoved) {
  clearAccount();
  $('who-name').textContent = session.value.username;
  showView(isMoved);
}

/** Leaves nothing of the last user in the page, shown or hidden. */
function clearAccount() {
  clearCards();
  clearPurchases();
  $('who-name').replaceChildren();
  $('announcer').replaceChildren();
}

function closeAccount(reason) {
  clearAccount();
  showAccess('log-in', $('log-in-title'));
  if (reason) notice($('log-in').querySelector('[data-role=notice]'), reason);
}

async function logIn({ username, password }) {
  session.begin(username, await json(await send('POST', '/sessions', { body: { username, password } })));
  for (const form of document.querySelectorAll('#log-in, #register')) {
    form.reset();
    clearProblem(form);
  }
  openAccount(true);
}

async function register(fields) {
  await send('POST', '/users', { body: fields });
  try {
    await logIn(fields);
  } catch (problem) {
    // The account exists: registering again would only say that the name is taken.
    $('log-in-username').value = fields.username;
    showAccess('log-in', $('log-in-password'));
    notice($('log-in').querySelector('[data-role=notice]'), `Your account is ready. ${explain(problem)}`);
  }
}

async function logOut() {
  await session.refreshing?.catch(() => {}); // It spends the token that is about to be revoked.
  if (!session.value) return;
  const { username, refresh } = session.value;
  session.end('');
  $('log-in-username').value = username;
  announce('You are logged out.');
  // Whatever becomes of this call, the tab has forgotten the tokens.
  await send('DELETE', '/sessions', { token: refresh }).catch(() => {});
}

onSubmit($('log-in'), 'Logging in…', logIn);
onSubmit($('register'), 'Creating your account…', register);
$('to-register').addEventListener('click', () => showAccess('register', $('register-username')));
$('to-log-in').addEventListener('click', () => showAccess('log-in', $('log-in-username')));
$('log-out').addEventListener('click', logOut);
session.onEnd = closeAccount;

if (session.restore()) openAccount(false);
else showAccess('log-in');
