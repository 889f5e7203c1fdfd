// The view of cards: those that there are, a request for a new one, and its way, live.

import { Problem } from './api.js';
import {
  $, announce, block, clearProblem, element, focusOn, forPresentUser, notice, onSubmit, placeholder, release, showLink, time,
} from './dom.js';
import { read, submit } from './session.js';
import { follow } from './stream.js';
import {
  cause, clock, day, duration, explain, isFinal, moment, NETWORKS, plural, REQUEST_STATUSES, tell,
} from './words.js';

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
    element('span', { class: 'badge', 'data-status': task.status }, REQUEST_STATUSES[task.status] ?? task.status),
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

const CARDS_SHOWN = 3; // The active one and a row of blocked ones: more push the form off a phone.
const EMPTY = { watching: null, known: null, allCards: false, next: null, isOpen: false };
const view = { ...EMPTY };

/** Shows the view to who is logged in; what is there already stays and is brought up to date. */
export function openCards() {
  loadCards();
  if (!view.isOpen) loadRequests();
  view.isOpen = true;
}

/** Loads the newest requests and goes on where the user was: watching the open one, or free to ask. */
async function loadRequests() {
  const items = await loadHistory(null, loadRequests);
  if (!items) return;
  if (items[0] && !isFinal(items[0])) showProgress(items[0]);
  else showRequest();
}

/** Leaves nothing of the last user in the page, shown or hidden. */
export function clearCards() {
  view.watching?.abort();
  Object.assign(view, EMPTY);
  for (const id of ['cards', 'history', 'timeline', 'progress-title', 'progress-text', 'progress-id']) {
    $(id).replaceChildren();
  }
  for (const id of ['request-view', 'progress-view', 'cards-empty', 'more-cards', 'history-empty', 'more-history']) {
    $(id).hidden = true;
  }
  for (const id of ['cards-notice', 'history-notice', 'progress-notice']) notice($(id), '');
}

async function loadCards() {
  const list = $('cards');
  list.setAttribute('aria-busy', 'true');
  list.hidden = false;
  if (!list.children.length && view.known === null) list.append(placeholder('Loading your cards…'));
  const answer = await forPresentUser($('cards-notice'), loadCards, () => read('/cards'));
  list.setAttribute('aria-busy', 'false');
  if (!answer) {
    list.querySelector('.skeleton')?.remove();
    return;
  }
  drawCards(answer.items);
}

function drawCards(cards) {
  const sorted = [...cards].sort((a, b) => (b.status === 'active') - (a.status === 'active')
    || Date.parse(b.issued_at) - Date.parse(a.issued_at));
  const shown = view.allCards ? sorted : sorted.slice(0, CARDS_SHOWN);
  const { known } = view;
  $('cards').replaceChildren(...shown.map((card) => drawCard(card, known !== null && !known.has(card.id))));
  $('cards').hidden = cards.length === 0;
  $('cards-empty').hidden = cards.length > 0;
  $('request-hint').hidden = !cards.some(({ status }) => status === 'active');
  view.known = new Set(cards.map(({ id }) => id));
  const more = $('more-cards');
  more.hidden = shown.length === sorted.length;
  more.textContent = `Show all ${sorted.length} cards`;
  more.onclick = () => {
    view.allCards = true;
    drawCards(cards);
    focusOn($('cards').children[CARDS_SHOWN]);
  };
}

/** Loads the newest requests, or with a cursor the ones after it; the answer is what was loaded. */
async function loadHistory(cursor, again) {
  const list = $('history');
  const path = `/replacements?limit=5${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
  list.setAttribute('aria-busy', 'true');
  if (!cursor) list.replaceChildren(placeholder('Loading your requests…'));
  const page = await forPresentUser($('history-notice'), again, () => read(path));
  list.setAttribute('aria-busy', 'false');
  list.querySelector('.skeleton')?.remove();
  if (!page) return null;
  list.append(...page.items.map(drawRequest));
  $('history-empty').hidden = list.children.length > 0;
  view.next = page.next ?? null;
  $('more-history').hidden = view.next === null;
  return page.items;
}

async function loadOlder() {
  const button = $('more-history');
  if (button.getAttribute('aria-disabled')) return;
  const label = button.textContent;
  block(button, 'Loading…');
  const items = await loadHistory(view.next, loadOlder);
  release(button, label);
  if (items?.length) focusOn($('history').querySelector(`[data-task="${CSS.escape(items[0].id)}"]`));
}

/** Brings the row of a request up to date, or puts a new one on top. */
function putRequest(task) {
  const row = $('history').querySelector(`[data-task="${CSS.escape(task.id)}"]`);
  if (row) row.replaceWith(drawRequest(task));
  else $('history').prepend(drawRequest(task));
  $('history-empty').hidden = true;
}

function showRequest(focus) {
  view.watching?.abort();
  $('progress-view').hidden = true;
  $('request-view').hidden = false;
  $('request').reset();
  clearProblem($('request'));
  focus?.focus();
}

async function askForCard({ reason }) {
  let task;
  let hint = '';
  try {
    ({ task } = await submit('/replacements', { reason }));
  } catch (problem) {
    if (problem.code !== 'replacement-open' || !problem.openTask) throw problem;
    task = await read(`/replacements/${encodeURIComponent(problem.openTask)}`);
    hint = 'You already have a request under way. Here it is.';
  }
  showProgress(task, hint);
  $('progress-title').focus();
}

/** Shows a task and follows it to its end. */
function showProgress(first, hint = '') {
  view.watching?.abort();
  const stop = new AbortController();
  view.watching = stop;
  const timeline = new Timeline();
  const link = (state) => showLink($('link-state'), state);
  let latest = first;
  let spoken = '';

  const onTask = (task) => {
    latest = task;
    timeline.see(task);
    const [title, text] = tell(task, timeline.attempt);
    $('progress-title').textContent = title;
    $('progress-text').textContent = text;
    $('progress-view').dataset.status = task.status;
    $('timeline').replaceChildren(...timeline.draw());
    $('ask-again').hidden = !isFinal(task);
    putRequest(task);
    if (spoken !== `${title}. ${text}`) announce(spoken = `${title}. ${text}`);
    return isFinal(task);
  };

  $('request-view').hidden = true;
  $('progress-view').hidden = false;
  $('progress-id').textContent = first.id;
  link('connecting');
  notice($('progress-notice'), hint);
  onTask(first);

  const path = `/tasks/${encodeURIComponent(first.id)}/events`;
  const end = isFinal(first) ? Promise.resolve() : follow(path, stop.signal, { onTask, onLink: link });
  end.then(() => {
    if (stop.signal.aborted) return;
    link('ended');
    notice($('progress-notice'), '');
    loadCards();
  }, (problem) => {
    if (!(problem instanceof Problem)) throw problem;
    if (stop.signal.aborted) return;
    link('ended');
    notice($('progress-notice'), explain(problem), () => showProgress(latest));
  });
}

onSubmit($('request'), 'Asking…', askForCard);
$('ask-again').addEventListener('click', () => showRequest($('request-title')));
$('more-history').addEventListener('click', loadOlder);
