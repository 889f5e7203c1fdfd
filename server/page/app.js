// The page at `/`: register or log in, ask for a replacement, watch it live, see the cards.
//
// From top to bottom: HTTP and its problems, the session, the event stream, words, drawing, the views.
// Nothing is written to the console, and nothing from the server is put into the page as markup.

const API = '/api/v1';
const REQUEST_DEADLINE_MS = 20_000;

// ---------------------------------------------------------------------------------------------------- HTTP

/** A call that did not work: an RFC 9457 problem document, or a server that could not be reached (status 0). */
class Problem extends Error {
  constructor({ status = 0, code = 'unreachable', detail, errors = [], openTask = null, retryAfter = null }) {
    super(detail);
    Object.assign(this, { status, code, detail, errors, openTask, retryAfter });
  }

  /** Whether the server has surely decided: only then may the next click be a new request. */
  get isDecision() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

const UNREACHABLE = 'The server can’t be reached. Check your connection and try again.';

/** Seconds to wait by a `Retry-After` header, which holds seconds or a date. */
function retryAfter(headers) {
  const value = headers.get('retry-after');
  if (value === null) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null;
}

async function problemOf(response) {
  const { status, headers } = response;
  const body = await response.json().catch(() => null);
  return new Problem({
    status,
    code: body?.code ?? 'unknown',
    detail: body?.detail || body?.title || `The server answered with status ${status}.`,
    errors: Array.isArray(body?.errors) ? body.errors : [],
    openTask: body?.open_task ?? null,
    retryAfter: retryAfter(headers),
  });
}

/** Sends a request; the answer is a `Response` with a 2xx status. Anything else is thrown as a `Problem`. */
async function send(method, path, { body, token, headers = {}, signal } = {}) {
  const all = { accept: 'application/json, application/problem+json', ...headers };
  if (body !== undefined) all['content-type'] = 'application/json';
  if (token) all.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(API + path, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ?? AbortSignal.timeout(REQUEST_DEADLINE_MS),
      cache: 'no-store',
      credentials: 'omit',
    });
  } catch {
    throw new Problem({ detail: UNREACHABLE });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** The body of a response; a connection that breaks half-way is a `Problem` as well. */
async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Problem({ detail: UNREACHABLE });
  }
}

/** A random UUID. `randomUUID` exists only on https and localhost; the page also has to work on a plain host name. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

// ------------------------------------------------------------------------------------------------- Session

/**
 * Who is logged in. The tokens live in memory and in sessionStorage: they survive a reload, die with the tab, and
 * unlike a cookie are never sent by the browser on its own, so no other site can act for the user. localStorage
 * would outlive the browser and show them to every later visitor of a shared machine. What remains is script
 * injection, which the content security policy (no inline code, no foreign host) and text-only drawing shut out.
 *
 * A refresh token works once, and using it twice revokes the session. So there is one refresh at a time in a tab
 * (`refreshing`) and, because duplicating a tab copies its sessionStorage, one at a time between tabs (a lock).
 * Copies share a `family`; the one with the higher `generation` tells the others the new pair over a channel that
 * stays within this origin.
 */
const session = {
  key: 'cardctl.session',
  value: null,
  refreshing: null,
  channel: 'BroadcastChannel' in globalThis ? new BroadcastChannel('cardctl.session') : null,
  onEnd: () => {},

  restore() {
    try {
      this.value = JSON.parse(sessionStorage.getItem(this.key));
    } catch {
      this.value = null; // Storage is switched off or holds something else: log in again.
    }
    this.channel?.addEventListener('message', ({ data }) => this.hear(data));
    return this.value !== null;
  },

  keep(value) {
    this.value = value;
    try {
      if (value) sessionStorage.setItem(this.key, JSON.stringify(value));
      else sessionStorage.removeItem(this.key);
    } catch {
      // Storage is switched off: memory alone will do until the next reload.
    }
  },

  begin(username, pair) {
    this.keep({ family: uuid(), generation: 0, username, ...this.fields(pair) });
  },

  fields({ access_token: access, refresh_token: refresh, expires_in: seconds }) {
    return { access, refresh, staleAt: Date.now() + seconds * 1000 - 30_000 };
  },

  end(reason) {
    if (!this.value) return;
    this.channel?.postMessage({ kind: 'ended', family: this.value.family });
    this.keep(null);
    this.onEnd(reason);
  },

  hear({ kind, family, generation, value }) {
    const mine = this.value;
    if (mine?.family !== family) return;
    if (kind === 'asked' && mine.generation > generation) this.tell();
    if (kind === 'rotated' && value.generation > mine.generation) this.keep(value);
    if (kind === 'ended') {
      this.keep(null);
      this.onEnd('You logged out in another tab.');
    }
  },

  tell() {
    this.channel?.postMessage({ kind: 'rotated', family: this.value.family, value: this.value });
  },

  /** Gets a new pair, unless `generation` has been replaced already. */
  refresh(generation) {
    if (!this.value || this.value.generation > generation) return Promise.resolve();
    this.refreshing ??= this.alone(() => this.rotate(generation)).finally(() => { this.refreshing = null; });
    return this.refreshing;
  },

  /** Web Locks exist only on https and localhost; elsewhere the question to other tabs has to be enough. */
  alone(work) {
    return navigator.locks ? navigator.locks.request(this.key, work) : work();
  },

  async rotate(generation) {
    if (this.value) await this.askOtherTabs(this.value.family, generation);
    const before = this.value;
    if (!before || before.generation > generation) return;
    let pair;
    try {
      pair = await json(await send('POST', '/sessions/refresh', { token: before.refresh }));
    } catch (problem) {
      if (problem.status === 401) this.end('Your session has ended. Please log in again.');
      throw problem;
    }
    if (this.value?.family !== before.family) return; // Logged out meanwhile.
    this.keep({ ...before, ...this.fields(pair), generation: before.generation + 1 });
    this.tell();
  },

  /** A copy of this tab may have spent the refresh token: gives it a moment to say so. */
  async askOtherTabs(family, generation) {
    if (!this.channel) return;
    this.channel.postMessage({ kind: 'asked', family, generation });
    await new Promise((resolve) => { setTimeout(resolve, 150); });
  },
};

/** Sends a request for the user who is logged in; refreshes the access token before it ends or when it is refused. */
async function call(method, path, options = {}) {
  if (session.value && Date.now() > session.value.staleAt) await session.refresh(session.value.generation);
  const used = session.value;
  if (!used) throw new Problem({ status: 401, code: 'unauthorized', detail: 'Please log in.' });
  try {
    return await send(method, path, { ...options, token: used.access });
  } catch (problem) {
    if (problem.status !== 401 || session.value?.family !== used.family) throw problem;
    await session.refresh(used.generation);
    if (!session.value) throw problem;
    return send(method, path, { ...options, token: session.value.access });
  }
}

const get = async (path) => json(await call('GET', path));

// -------------------------------------------------------------------------------------------- Event stream

const SILENCE_MS = 45_000; // Three keep-alives missed.
const BACKOFF = { base: 500, cap: 15_000 };

/** Server-sent events of a body, as the HTML standard reads them: `{type, data, id, retry}`. */
async function* eventsOf(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let event = { type: 'message', data: [] };
  for (;;) {
    const { value, done } = await reader.read().catch(() => { throw new Problem({ detail: UNREACHABLE }); });
    if (done) return;
    heard();
    text += value;
    // A CR at the very end may be half of a CR LF: it stays until more arrives.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    text = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (event.data.length || event.retry || event.type !== 'message') yield { ...event, data: event.data.join('\n') };
        event = { type: 'message', data: [] };
        continue;
      }
      const [, field, content] = /^([^:]*)(?:: ?(.*))?$/.exec(line);
      if (field === 'event') event.type = content;
      if (field === 'data') event.data.push(content ?? '');
      if (field === 'id') event.id = content ?? '';
      if (field === 'retry' && /^\d+$/.test(content)) event.retry = Number(content);
    }
  }
}

/** Waits, but no longer than until the network or the tab is back or the watch is called off. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const woken = () => {
      clearTimeout(timer);
      globalThis.removeEventListener('online', woken);
      signal.removeEventListener('abort', woken);
      resolve();
    };
    const timer = setTimeout(woken, milliseconds);
    globalThis.addEventListener('online', woken);
    signal.addEventListener('abort', woken);
  });
}

/**
 * Follows a task to its final status: `onTask(task)` for each state, `onLink('live' | 'reconnecting')` for the
 * connection. `EventSource` can't send a bearer token, hence fetch. A stream that breaks is taken up where it was
 * (`Last-Event-ID`) after a random wait that doubles its ceiling with each failure. Throws what waiting can't mend.
 */
async function watch(id, signal, { onTask, onLink }) {
  let last = '';
  let failures = 0;
  let base = BACKOFF.base;

  async function follow() {
    const cut = new AbortController();
    const stop = () => cut.abort();
    let alarm = setTimeout(stop, REQUEST_DEADLINE_MS);
    const heard = () => {
      clearTimeout(alarm);
      alarm = setTimeout(stop, SILENCE_MS);
    };
    signal.addEventListener('abort', stop);
    try {
      const headers = { accept: 'text/event-stream', ...(last && { 'last-event-id': last }) };
      const response = await call('GET', `/tasks/${encodeURIComponent(id)}/events`, { headers, signal: cut.signal });
      heard();
      onLink('live');
      for await (const event of eventsOf(response.body, heard)) {
        if (event.retry) base = event.retry;
        if (event.id !== undefined) last = event.id;
        if (event.type === 'reset') {
          last = ''; // The past is gone from the log: begin again with the present state.
          return false;
        }
        if (event.type !== 'state') continue;
        const task = JSON.parse(event.data);
        failures = 0;
        onTask(task);
        if (isFinal(task)) return true;
      }
      return false;
    } finally {
      clearTimeout(alarm);
      signal.removeEventListener('abort', stop);
      cut.abort();
    }
  }

  while (!signal.aborted) {
    let least = 0;
    try {
      if (await follow()) return;
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem) || problem.isDecision) throw problem;
      least = (problem.retryAfter ?? 0) * 1000;
    }
    if (signal.aborted) return;
    onLink('reconnecting');
    const ceiling = Math.min(BACKOFF.cap, base * 2 ** failures);
    failures = Math.min(failures + 1, 10);
    await pause(Math.max(least, Math.random() * ceiling), signal);
  }
}

// --------------------------------------------------------------------------------------------------- Words

const NETWORKS = { visa: 'Visa', mastercard: 'Mastercard', amex: 'Amex' };
const STATUSES = {
  queued: 'Waiting', running: 'Under way', retrying: 'Trying again',
  succeeded: 'Card issued', declined: 'Declined', dead: 'Given up', cancelled: 'Called off',
};
const CAUSES = {
  'issuer-unavailable': 'the card issuer is out of order',
  'issuer-timeout': 'the card issuer took too long to answer',
  'issuer-declined': 'the card issuer said no',
  'issuer-refused-request': 'the card issuer can’t take our request',
  'issuer-answered-garbage': 'the card issuer’s answer made no sense',
  cancelled: 'called off by us before it was done',
};

const FINAL = ['succeeded', 'declined', 'dead', 'cancelled'];
const isFinal = ({ status }) => FINAL.includes(status);
const sentence = (text) => {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
};
const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;
const cause = (error) => sentence(CAUSES[error?.code] || error?.message || 'the reason is not known');

// The page is in English, so are its dates; which English is the reader's choice.
const locale = navigator.languages.find((language) => language.startsWith('en')) ?? 'en-GB';
const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' });
const moment = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

function duration(from, to) {
  const milliseconds = Math.max(0, Date.parse(to) - Date.parse(from));
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${(milliseconds / 1000).toFixed(1)} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${Math.round(seconds / 360) / 10} h`;
}

/** What a task's state means to the person who waits: a heading and a sentence. */
function tell(task, attempt) {
  switch (task.status) {
    case 'queued':
      return ['Request accepted', 'It is stored safely and waits for its turn.'];
    case 'running':
      return ['Talking to the card issuer', attempt > 1 ? `This is attempt ${attempt}.` : 'This usually takes a moment.'];
    case 'retrying':
      return ['Trying again soon', `Attempt ${attempt} did not work. ${cause(task.error)} The next one comes by itself.`];
    case 'succeeded':
      return ['Your new card is ready', task.result?.last4
        ? `${NETWORKS[task.result.network] ?? 'Card'} ending in ${task.result.last4} can be used now. `
          + `It took ${duration(task.accepted_at, task.settled_at)}.`
        : 'It can be used now.'];
    case 'declined':
      return ['The request was declined', `${cause(task.error)} Asking the same again won’t change that.`];
    case 'cancelled':
      return ['Your request was called off', `${cause(task.error)} No card was made, and you can ask again.`];
    default:
      return ['No card could be issued', `We gave up after ${plural(task.attempts, 'attempt')}. ${cause(task.error)} `
        + 'Nothing was changed, and you can ask again.'];
  }
}

// ------------------------------------------------------------------------------------------------- Drawing

const $ = (id) => document.getElementById(id);

/** An element with attributes and children; text is always text, never markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const time = (at, format) => element('time', { datetime: at }, format.format(new Date(at)));

function announce(text) {
  $('announcer').textContent = '';
  // A change in a later frame is spoken even when the words are the same as before.
  requestAnimationFrame(() => { $('announcer').textContent = text; });
}

/** Shows or clears a notice; `again` adds a button that runs it. */
function notice(box, text, again) {
  box.replaceChildren(...(text ? [element('p', {}, text)] : []));
  if (again) {
    const button = element('button', { type: 'button', class: 'quiet' }, 'Try again');
    button.addEventListener('click', again);
    box.append(button);
  }
  box.hidden = !text;
}

/** What a problem says; with a `Retry-After`, how long to wait takes the place of "try again". */
function explain({ detail, retryAfter: wait }) {
  if (!wait) return sentence(detail);
  return `${sentence(detail.replace(/[;,.]\s*(wait and )?try again\.?$/i, ''))} Try again in ${plural(wait, 'second')}.`;
}

/** A card as it looks in the hand. Read aloud: network, ending, status, date. */
function drawCard(card, isNew) {
  const look = { class: isNew ? 'card fresh' : 'card', 'data-network': card.network, 'data-status': card.status };
  const face = element('div', look,
    element('span', { class: 'card-chip', 'aria-hidden': 'true' }),
    element('span', { class: 'card-network' }, NETWORKS[card.network] ?? card.network),
    element('span', { class: 'card-number' },
      element('span', { 'aria-hidden': 'true' }, '•••• '),
      element('span', { class: 'unseen' }, 'ending in '),
      card.last4),
    element('span', { class: 'card-status' }, card.status === 'active' ? 'Active' : 'Blocked'),
    element('span', { class: 'card-date' }, 'Issued ', time(card.issued_at, day)));
  return element('li', {}, face);
}

function drawRequest(task) {
  const made = task.result?.last4 ? `${NETWORKS[task.result.network] ?? 'Card'} •••• ${task.result.last4}` : '';
  const why = task.error && task.status !== 'succeeded' ? cause(task.error) : '';
  return element('li', { class: 'request', 'data-task': task.id },
    element('span', { class: 'badge', 'data-status': task.status }, STATUSES[task.status] ?? task.status),
    element('span', { class: 'request-what' }, made || why || 'A new card'),
    element('span', { class: 'fine' }, time(task.accepted_at, moment),
      ...(task.attempts > 0 ? [` · ${plural(task.attempts, 'attempt')}`] : []),
      ...(task.settled_at ? [` · ${duration(task.accepted_at, task.settled_at)}`] : [])));
}

/** The steps of a task as far as they are known: kept while it is watched, because a task shows its present only. */
class Timeline {
  steps = new Map();
  attempt = 0;

  see(task) {
    this.put('accepted', 'Request accepted', task.accepted_at, 'done');
    this.attempt = task.status === 'running' ? Math.max(task.attempts, 1) : task.attempts;
    if (task.started_at && this.attempt > 0) {
      this.put(`attempt ${this.attempt}`, `Attempt ${this.attempt} at the card issuer`, task.started_at, 'done');
    }
    if (task.status === 'retrying') {
      // A task does not say when an attempt failed; the moment that the page learns of it is close enough.
      this.put(`failure ${this.attempt}`, cause(task.error), new Date().toISOString(), 'failed');
    }
    if (isFinal(task)) {
      const good = task.status === 'succeeded';
      this.put('final', good ? 'Card issued' : cause(task.error), task.settled_at, good ? 'good' : 'bad');
    }
    this.present = task;
  }

  put(key, label, at, kind) {
    if (!this.steps.has(key)) this.steps.set(key, { label, at, kind });
  }

  draw() {
    const items = [...this.steps.values()].map(({ label, at, kind }) => element('li', { 'data-kind': kind },
      element('span', { class: 'step' }, label), time(at, clock)));
    if (!isFinal(this.present)) {
      const next = { queued: 'Waiting for its turn', running: 'Waiting for the answer', retrying: 'Next attempt' };
      items.push(element('li', { 'data-kind': 'now', 'aria-current': 'step' },
        element('span', { class: 'step' }, next[this.present.status] ?? 'Waiting')));
      items.push(element('li', { 'data-kind': 'ahead' }, element('span', { class: 'step' }, 'New card')));
    }
    return items;
  }
}

// --------------------------------------------------------------------------------------------------- Forms

/** Shows a problem in a form: field errors at their fields (by JSON pointer), everything else above. */
function showProblem(form, problem) {
  const rest = [];
  let first = null;
  const weak = problem.code === 'weak-password' ? [{ pointer: '/password', detail: problem.detail }] : [];
  for (const { pointer, detail } of [...problem.errors, ...weak]) {
    const name = pointer.replace(/^#?\//, '');
    const message = $(`${form.id}-${name}-error`);
    if (!message) {
      rest.push(sentence(detail));
      continue;
    }
    message.textContent = sentence(detail);
    message.hidden = false;
    const inputs = form.querySelectorAll(`[name="${CSS.escape(name)}"]`);
    inputs.forEach((input) => input.setAttribute('aria-invalid', 'true'));
    first ??= inputs[0];
  }
  if (rest.length) notice(form.querySelector('[data-role=notice]'), rest.join(' '));
  else if (!first) notice(form.querySelector('[data-role=notice]'), explain(problem));
  first?.focus();
}

function clearProblem(form) {
  notice(form.querySelector('[data-role=notice]'), '');
  form.querySelectorAll('.field-error').forEach((message) => { message.hidden = true; message.textContent = ''; });
  form.querySelectorAll('[aria-invalid]').forEach((input) => input.removeAttribute('aria-invalid'));
}

/** What is missing, said at its field before the server has to. */
function missing(form) {
  const words = { username: 'Enter your user name', password: 'Enter your password', reason: 'Choose what happened' };
  const empty = [...form.elements].filter((input) => input.required && input.validity.valueMissing);
  return empty.map(({ name }) => ({ pointer: `/${name}`, detail: words[name] }));
}

/**
 * Runs `work(fields)` when a form is submitted: one at a time, with its problem shown in the form. The button is
 * only marked as disabled, because a button that really is loses the keyboard's focus.
 */
function onSubmit(form, busyLabel, work) {
  const button = form.querySelector('[type=submit]');
  const label = button.textContent;
  const block = (text) => {
    button.textContent = text;
    button.setAttribute('aria-disabled', 'true');
  };
  const release = () => {
    button.textContent = label;
    button.removeAttribute('aria-disabled');
  };

  /** Counts a `Retry-After` down on the button, where it disturbs no screen reader. */
  const rest = (seconds) => {
    if (seconds <= 0) {
      release();
      return;
    }
    block(`Try again in ${seconds} s`);
    setTimeout(rest, 1000, seconds - 1);
  };

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.getAttribute('aria-disabled')) return;
    clearProblem(form);
    const errors = missing(form);
    if (errors.length) {
      showProblem(form, new Problem({ status: 422, errors }));
      return;
    }
    block(busyLabel);
    let wait = 0;
    try {
      await work(Object.fromEntries(new FormData(form)));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      showProblem(form, problem);
      wait = problem.retryAfter ?? 0;
    } finally {
      rest(wait);
    }
  });
}

// ------------------------------------------------------------------------------------- Logging in and out

/** Shows one of the two outer views; `focus` is what a keyboard or screen reader continues from. */
function showView(name, focus) {
  $('welcome').hidden = name !== 'welcome';
  $('account').hidden = name !== 'account';
  $('who').hidden = name !== 'account';
  document.title = name === 'account' ? 'Your cards · cardctl' : 'Card replacement · cardctl';
  focus?.focus();
}

function showAccess(view, focus) {
  $('log-in-view').hidden = view !== 'log-in';
  $('register-view').hidden = view !== 'register';
  showView('welcome', focus);
}

async function logIn({ username, password }) {
  session.begin(username, await json(await send('POST', '/sessions', { body: { username, password } })));
  for (const form of document.querySelectorAll('#log-in, #register')) {
    form.reset();
    clearProblem(form);
  }
  openAccount($('account-title'));
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

// ------------------------------------------------------------------------------------------------- Account

const CARDS_SHOWN = 3; // The active one and a row of blocked ones: more push the form off a phone.
const account = { watching: null, known: null, allCards: false, next: null, submission: null };

function openAccount(focus) {
  clearAccount();
  $('who-name').textContent = session.value.username;
  showView('account', focus);
  loadCards();
  loadRequests();
}

/** Loads the newest requests and goes on where the user was: watching the open one, or free to ask. */
async function loadRequests() {
  const items = await loadHistory(null, loadRequests);
  if (!items) return;
  if (items[0] && !isFinal(items[0])) showProgress(items[0]);
  else showRequest();
}

/** Leaves nothing of the last user in the page, shown or hidden. */
function clearAccount() {
  account.watching?.abort();
  Object.assign(account, { watching: null, known: null, allCards: false, next: null, submission: null });
  for (const id of ['who-name', 'cards', 'history', 'timeline', 'progress-title', 'progress-text', 'progress-id']) {
    $(id).replaceChildren();
  }
  for (const id of ['request-view', 'progress-view', 'cards-empty', 'more-cards', 'history-empty', 'more-history']) {
    $(id).hidden = true;
  }
  for (const id of ['cards-notice', 'history-notice', 'progress-notice']) notice($(id), '');
}

function closeAccount(reason) {
  clearAccount();
  showAccess('log-in', $('log-in-title'));
  if (reason) notice($('log-in').querySelector('[data-role=notice]'), reason);
}

const placeholder = (text) => element('li', { class: 'skeleton' }, text);

/** Runs `work` for the user who is logged in now: its result is dropped if that changes meanwhile. */
async function forPresentUser(box, again, work) {
  const family = session.value?.family;
  const isPresent = () => family !== undefined && session.value?.family === family;
  notice(box, '');
  try {
    const result = await work();
    return isPresent() ? result : null;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (isPresent()) notice(box, explain(problem), again);
    return null;
  }
}

async function loadCards() {
  const list = $('cards');
  list.setAttribute('aria-busy', 'true');
  list.hidden = false;
  if (!list.children.length && account.known === null) list.append(placeholder('Loading your cards…'));
  const answer = await forPresentUser($('cards-notice'), loadCards, () => get('/cards'));
  list.setAttribute('aria-busy', 'false');
  if (!answer) {
    list.querySelector('.skeleton')?.remove();
    return;
  }
  drawCards(Array.isArray(answer) ? answer : answer.items);
}

function drawCards(cards) {
  const sorted = [...cards].sort((a, b) => (b.status === 'active') - (a.status === 'active')
    || Date.parse(b.issued_at) - Date.parse(a.issued_at));
  const shown = account.allCards ? sorted : sorted.slice(0, CARDS_SHOWN);
  const { known } = account;
  $('cards').replaceChildren(...shown.map((card) => drawCard(card, known !== null && !known.has(card.id))));
  $('cards').hidden = cards.length === 0;
  $('cards-empty').hidden = cards.length > 0;
  $('request-hint').hidden = !cards.some(({ status }) => status === 'active');
  account.known = new Set(cards.map(({ id }) => id));
  const more = $('more-cards');
  more.hidden = shown.length === sorted.length;
  more.textContent = `Show all ${sorted.length} cards`;
  more.onclick = () => {
    account.allCards = true;
    drawCards(cards);
    const first = $('cards').children[CARDS_SHOWN];
    first.setAttribute('tabindex', '-1');
    first.focus();
  };
}

/** Loads the newest requests, or with a cursor the ones after it; the answer is what was loaded. */
async function loadHistory(cursor, again) {
  const list = $('history');
  const path = `/replacements?limit=5${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
  list.setAttribute('aria-busy', 'true');
  if (!cursor) list.replaceChildren(placeholder('Loading your requests…'));
  const page = await forPresentUser($('history-notice'), again, () => get(path));
  list.setAttribute('aria-busy', 'false');
  list.querySelector('.skeleton')?.remove();
  if (!page) return null;
  const rows = page.items.map(drawRequest);
  list.append(...rows);
  $('history-empty').hidden = list.children.length > 0;
  account.next = page.next ?? null;
  $('more-history').hidden = account.next === null;
  return page.items;
}

async function loadOlder() {
  const before = $('history').children.length;
  await loadHistory(account.next, loadOlder);
  const first = $('history').children[before];
  first?.setAttribute('tabindex', '-1');
  first?.focus();
}

/** Brings the row of a request up to date, or puts a new one on top. */
function putRequest(task) {
  const row = $('history').querySelector(`[data-task="${CSS.escape(task.id)}"]`);
  if (row) row.replaceWith(drawRequest(task));
  else $('history').prepend(drawRequest(task));
  $('history-empty').hidden = true;
}

function showRequest(focus) {
  account.watching?.abort();
  $('progress-view').hidden = true;
  $('request-view').hidden = false;
  $('request').reset();
  clearProblem($('request'));
  focus?.focus();
}

/**
 * Asks for a replacement. The key belongs to the intention, not to the click: as long as nobody knows what became of
 * a submission (no answer, 429, 5xx), the next click with the same reason sends the same key, and the server answers
 * with the first task instead of making a second.
 */
async function askForCard({ reason }) {
  if (account.submission?.reason !== reason) account.submission = { reason, key: uuid() };
  const { key } = account.submission;
  let task;
  try {
    const headers = { 'idempotency-key': key };
    task = await json(await call('POST', '/replacements', { body: { reason }, headers }));
    account.submission = null;
  } catch (problem) {
    if (problem.isDecision) account.submission = null;
    if (problem.code !== 'replacement-open' || !problem.openTask) throw problem;
    task = await get(`/replacements/${encodeURIComponent(problem.openTask)}`);
    showProgress(task, 'You already have a request under way. Here it is.');
    $('progress-title').focus();
    return;
  }
  showProgress(task);
  $('progress-title').focus();
}

const LINKS = { live: 'Live', reconnecting: 'Reconnecting…', ended: '' };

function showLink(state) {
  const badge = $('link-state');
  const before = badge.dataset.state;
  badge.dataset.state = state;
  badge.textContent = LINKS[state];
  badge.hidden = state === 'ended';
  if (state === 'reconnecting' && before === 'live') announce('The connection is lost. Reconnecting.');
  if (state === 'live' && before === 'reconnecting') announce('Connected again.');
}

/** Shows a task and follows it to its end. */
function showProgress(first, hint = '') {
  account.watching?.abort();
  const stop = new AbortController();
  account.watching = stop;
  const timeline = new Timeline();
  let spoken = '';

  const onTask = (task) => {
    timeline.see(task);
    const [title, text] = tell(task, timeline.attempt);
    $('progress-title').textContent = title;
    $('progress-text').textContent = text;
    $('progress-view').dataset.status = task.status;
    $('timeline').replaceChildren(...timeline.draw());
    $('ask-again').hidden = !isFinal(task);
    putRequest(task);
    if (spoken !== `${title}. ${text}`) announce(spoken = `${title}. ${text}`);
  };

  $('request-view').hidden = true;
  $('progress-view').hidden = false;
  $('progress-id').textContent = first.id;
  $('link-state').dataset.state = 'connecting';
  $('link-state').textContent = 'Connecting…';
  $('link-state').hidden = false;
  notice($('progress-notice'), hint);
  onTask(first);

  const follow = isFinal(first) ? Promise.resolve() : watch(first.id, stop.signal, { onTask, onLink: showLink });
  follow.then(() => {
    if (stop.signal.aborted) return;
    showLink('ended');
    notice($('progress-notice'), '');
    loadCards();
  }, (problem) => {
    if (!(problem instanceof Problem)) throw problem;
    if (stop.signal.aborted) return;
    showLink('ended');
    notice($('progress-notice'), explain(problem), () => showProgress(first));
  });
}

// --------------------------------------------------------------------------------------------------- Start

onSubmit($('log-in'), 'Logging in…', logIn);
onSubmit($('register'), 'Creating your account…', register);
onSubmit($('request'), 'Asking…', askForCard);
$('to-register').addEventListener('click', () => showAccess('register', $('register-username')));
$('to-log-in').addEventListener('click', () => showAccess('log-in', $('log-in-username')));
$('log-out').addEventListener('click', logOut);
$('ask-again').addEventListener('click', () => showRequest($('request-title')));
$('more-history').addEventListener('click', loadOlder);
session.onEnd = closeAccount;

if (session.restore()) openAccount();
else showAccess('log-in');
