// Server-sent events, followed through whatever breaks a connection.

import { Problem, REQUEST_DEADLINE_MS, UNREACHABLE } from './api.js';
import { call, session } from './session.js';

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
 * Follows a stream of tasks, after the event `from` if there is one: `onTask(task)` for each state, until it answers true;
 * `onLink('live' | 'reconnecting')` for the connection; `onGap()` whenever a stream of many tasks begins without a past, so
 * that what happened before has to be read. `EventSource` can't send a bearer token, hence fetch. A stream that breaks is
 * taken up where it was (`Last-Event-ID`) after a random wait that doubles its ceiling with each failure. Throws what
 * waiting can't mend.
 */
export async function follow(path, signal, { from = '', onTask, onLink, onGap = async () => {} }) {
  let last = from;
  let failures = 0;
  let base = BACKOFF.base;

  async function once() {
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
      const response = await call('GET', path, { headers, signal: cut.signal });
      heard();
      onLink('live');
      for await (const event of eventsOf(response.body, heard)) {
        if (signal.aborted) return true;
        if (event.retry) base = event.retry;
        if (event.type === 'reset') {
          last = ''; // The past is gone from the log: begin again with the present state.
          return false;
        }
        if (event.type === 'hello' && !last) {
          await onGap();
          last = String(JSON.parse(event.data).from);
        }
        if (event.type === 'state') {
          failures = 0;
          session.saw(event.id);
          if (onTask(JSON.parse(event.data))) return true;
        }
        // Only what was dealt with: an event that is taken up twice does no harm, one that is left out does.
        if (event.id !== undefined) last = event.id;
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
      if (await once()) return;
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
