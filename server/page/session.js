// Who is logged in, and the calls made for them: with the token, and never twice where that would do something twice.

import { json, Problem, send, uuid } from './api.js';

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
 *
 * Beside the tokens a session knows the newest place in the log that it was told of (`sequence`), the requests of which
 * nobody knows what became (`unsettled`) and the purchases under way (`orders`), so that a reload loses none of them.
 */
export const session = {
  key: 'cardctl.session',
  value: null,
  refreshing: null,
  interrupted: null,
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
    if (!value) versions.clear();
    try {
      if (value) sessionStorage.setItem(this.key, JSON.stringify(value));
      else sessionStorage.removeItem(this.key);
    } catch {
      // Storage is switched off: memory alone will do until the next reload.
    }
  },

  begin(username, pair) {
    // The same person goes on where the last session ended: what was sent then is still sent with the same key.
    const past = this.interrupted?.username === username ? this.interrupted : {};
    this.interrupted = null;
    this.keep({ ...past, family: uuid(), generation: 0, username, ...this.fields(pair) });
  },

  /** Remembers a place in the log: no later read may show an older state (`x-min-sequence`). */
  saw(sequence) {
    if (!this.value || !/^\d+$/.test(sequence ?? '')) return;
    if (BigInt(sequence) > BigInt(this.value.sequence ?? 0)) this.keep({ ...this.value, sequence });
  },

  fields({ access_token: access, refresh_token: refresh, expires_in: seconds }) {
    return { access, refresh, staleAt: Date.now() + seconds * 1000 - 30_000 };
  },

  end(reason) {
    if (!this.value) return;
    const { username, unsettled, orders } = this.value;
    this.interrupted = reason ? { username, unsettled, orders } : null;
    this.channel?.postMessage({ kind: 'ended', family: this.value.family });
    this.keep(null);
    this.onEnd(reason);
  },

  hear({ kind, family, generation, value }) {
    const mine = this.value;
    if (mine?.family !== family) return;
    if (kind === 'asked' && mine.generation > generation) this.tell();
    if (kind === 'rotated' && value.generation > mine.generation) this.keep({ ...mine, ...value });
    if (kind === 'ended') {
      this.keep(null);
      this.onEnd('You logged out in another tab.');
    }
  },

  tell() {
    const { family, access, refresh, staleAt, generation } = this.value;
    this.channel?.postMessage({ kind: 'rotated', family, value: { access, refresh, staleAt, generation } });
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
    this.keep({ ...this.value, ...this.fields(pair), generation: before.generation + 1 });
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
export async function call(method, path, options = {}) {
  if (session.value && Date.now() > session.value.staleAt) await session.refresh(session.value.generation);
  const used = session.value;
  if (!used) throw new Problem({ status: 401, code: 'unauthorized', detail: 'Please log in.' });
  const isPresent = () => session.value?.family === used.family;
  let response;
  try {
    response = await send(method, path, { ...options, token: used.access });
  } catch (problem) {
    if (problem.status !== 401 || !isPresent()) throw problem;
    await session.refresh(used.generation);
    if (!isPresent()) throw problem;
    response = await send(method, path, { ...options, token: session.value.access });
  }
  if (isPresent()) session.saw(response.headers.get('x-sequence'));
  return response;
}

const VERSIONS_KEPT = 12;
const versions = new Map();

/**
 * Reads what is at least as new as all that this session was told of. What is here already in the same version
 * (`ETag`) is not sent again.
 */
export async function read(path) {
  const had = versions.get(path);
  const { sequence } = session.value ?? {};
  const headers = { ...(had && { 'if-none-match': had.tag }), ...(sequence && { 'x-min-sequence': sequence }) };
  const response = await call('GET', path, { headers });
  if (response.status === 304) return had.body;
  const body = await json(response);
  const tag = response.headers.get('etag');
  versions.delete(path);
  if (tag) versions.set(path, { tag, body });
  if (versions.size > VERSIONS_KEPT) versions.delete(versions.keys().next().value);
  return body;
}

/**
 * Sends what must be done once. The key belongs to the intention, not to the click: as long as nobody knows what became
 * of it (no answer, 429, 5xx, a session that ended), the next click with the same content sends the same key, and the
 * server answers with the first task instead of making a second.
 */
export async function submit(path, body) {
  const intention = JSON.stringify([path, body]);
  const key = session.value?.unsettled?.[intention] ?? uuid();
  const family = session.value?.family;
  const remember = (value) => {
    if (session.value?.family !== family || !family) return;
    const unsettled = { ...session.value.unsettled, [intention]: value };
    session.keep({ ...session.value, unsettled });
  };
  remember(key);
  try {
    const response = await call('POST', path, { body, headers: { 'idempotency-key': key } });
    const task = await json(response);
    remember(undefined);
    return { task, sequence: response.headers.get('x-sequence'), isRepeated: response.headers.has('idempotency-replayed') };
  } catch (problem) {
    if (problem.isDecision && problem.status !== 401) remember(undefined);
    throw problem;
  }
}

/** The latest content that was sent to a path and may or may not have arrived. */
export function unsettled(path) {
  const sent = Object.entries(session.value?.unsettled ?? {}).filter(([, key]) => key);
  return sent.map(([intention]) => JSON.parse(intention)).findLast(([to]) => to === path)?.[1];
}

/** Nobody wants to know any more. */
export function giveUp(path, body) {
  if (!session.value) return;
  const unsettled = { ...session.value.unsettled, [JSON.stringify([path, body])]: undefined };
  session.keep({ ...session.value, unsettled });
}
