// Calls of the HTTP API, and what is a problem with them. Who is logged in is no matter of this file: session.js.

const API = '/api/v1';
export const REQUEST_DEADLINE_MS = 20_000;

/** A call that did not work: an RFC 9457 problem document, or a server that could not be reached (status 0). */
export class Problem extends Error {
  constructor({ status = 0, code = 'unreachable', detail, errors = [], openTask = null, retryAfter = null }) {
    super(detail);
    Object.assign(this, { status, code, detail, errors, openTask, retryAfter });
  }

  /** Whether the server has surely decided: only then may the next click be a new request. */
  get isDecision() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

export const UNREACHABLE = 'The server can’t be reached. Check your connection and try again.';

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

/** Sends a request; the answer is a `Response` with a 2xx status or 304. Anything else is thrown as a `Problem`. */
export async function send(method, path, { body, token, headers = {}, signal } = {}) {
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
  if (!response.ok && response.status !== 304) throw await problemOf(response);
  return response;
}

/** The body of a response; a connection that breaks half-way is a `Problem` as well. */
export async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Problem({ detail: UNREACHABLE });
  }
}

/** A random UUID. `randomUUID` exists only on https and localhost; the page also has to work on a plain host name. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
