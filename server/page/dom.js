// Drawing and forms: what every view of the page is made of.

import { Problem } from './api.js';
import { session } from './session.js';
import { explain, sentence } from './words.js';

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; text is always text, never markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const time = (at, format) => element('time', { datetime: at }, format.format(new Date(at)));

const SPOKEN_KEPT = 3;

/** Has a screen reader say it, after what it says now: each message is a new line of a log, so none replaces another. */
export function announce(text) {
  const log = $('announcer');
  log.append(element('p', {}, text));
  while (log.children.length > SPOKEN_KEPT) log.firstChild.remove();
}

/** Shows or clears a notice; `again` adds a button that runs it. */
export function notice(box, text, again, label = 'Try again') {
  box.replaceChildren(...(text ? [element('p', {}, text)] : []));
  if (again) {
    const button = element('button', { type: 'button', class: 'quiet' }, label);
    button.addEventListener('click', () => {
      // The button goes: the keyboard continues from the heading above it.
      $(box.closest('section')?.getAttribute('aria-labelledby'))?.focus();
      again();
    });
    box.append(button);
  }
  box.classList.remove('mild');
  box.hidden = !text;
}

export const placeholder = (text) => element('li', { class: 'skeleton' }, text);

/** Gives the keyboard to what is no control, such as the first of some new rows. */
export function focusOn(row) {
  row?.setAttribute('tabindex', '-1');
  row?.focus();
}

/** Shows that a button works; it is only marked as disabled, because one that really is loses the keyboard's focus. */
export function block(button, label) {
  button.textContent = label;
  button.setAttribute('aria-disabled', 'true');
}

export function release(button, label) {
  button.textContent = label;
  button.removeAttribute('aria-disabled');
}

/** Runs `work` for the user who is logged in now: its result is dropped if that changes meanwhile. */
export async function forPresentUser(box, again, work) {
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

const LINKS = { connecting: 'Connecting…', live: 'Live', reconnecting: 'Reconnecting…', ended: '' };

/** Shows how the connection is that a view is kept up to date by. */
export function showLink(badge, state) {
  const before = badge.dataset.state;
  badge.dataset.state = state;
  badge.textContent = LINKS[state];
  badge.hidden = state === 'ended';
  if (state === 'reconnecting' && before === 'live') announce('The connection is lost. Reconnecting.');
  if (state === 'live' && before === 'reconnecting') announce('Connected again.');
}

/** Shows a problem in a form: field errors at their fields (by JSON pointer), everything else above. */
export function showProblem(form, problem) {
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

export function clearProblem(form) {
  notice(form.querySelector('[data-role=notice]'), '');
  form.querySelectorAll('.field-error').forEach((message) => { message.hidden = true; message.textContent = ''; });
  form.querySelectorAll('[aria-invalid]').forEach((input) => input.removeAttribute('aria-invalid'));
}

/** What is missing, said at its field before the server has to. */
function missing(form) {
  const words = {
    username: 'Enter your user name', password: 'Enter your password', reason: 'Choose what happened', price: 'Enter the price',
  };
  const empty = [...form.elements].filter((input) => input.required && input.validity.valueMissing);
  return empty.map(({ name }) => ({ pointer: `/${name}`, detail: words[name] }));
}

/**
 * Runs `work(fields)` when a form is submitted: one at a time, with its problem shown in the form. A double click or a
 * key that is held down submits once.
 */
export function onSubmit(form, busyLabel, work) {
  const button = form.querySelector('[type=submit]');
  const label = button.textContent;

  /** Counts a `Retry-After` down on the button, where it disturbs no screen reader. */
  const rest = (seconds) => {
    if (seconds <= 0) {
      release(button, label);
      return;
    }
    block(button, `Try again in ${seconds} s`);
    setTimeout(rest, 1000, seconds - 1);
  };

  button.addEventListener('click', (event) => {
    if (event.detail > 1) event.preventDefault();
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && event.repeat) event.preventDefault();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.getAttribute('aria-disabled')) return;
    clearProblem(form);
    const errors = missing(form);
    if (errors.length) {
      showProblem(form, new Problem({ status: 422, errors }));
      return;
    }
    block(button, busyLabel);
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
