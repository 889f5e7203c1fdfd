// The view of purchases: a form, what is under way, live, and the history with its summary.
//
// Prices are text from end to end: what is typed is sent as it is, what the server answers is shown as it is.

import { Problem } from './api.js';
import {
  $, announce, block, clearProblem, element, focusOn, forPresentUser, notice, onSubmit, placeholder, release, showLink,
  time,
} from './dom.js';
import { giveUp, read, session, submit, unsettled } from './session.js';
import { follow } from './stream.js';
import { count, day, explain, isFinal, moment, money, PURCHASE_STATUSES, tellPurchase } from './words.js';

const PATH = '/purchases';
const PAGE = 25;
const DONE_SHOWN = 3; // What is under way, and what went wrong, is always shown.
const SLOW_MS = 1000; // What takes longer to be confirmed is said to be accepted.
const PAGES_BY_THEMSELVES = 8; // Then a button is pressed: what stands below the history has to be within reach.

const newView = () => ({
  isOpen: false,
  /** What was bought in this tab, by task, oldest first: `{item, price, task}`. */
  orders: new Map(),
  /** States that came before the answer of the purchase itself. */
  early: new Map(),
  following: null,
  range: '',
  next: null,
  pages: 0,
  isReading: false,
  isStale: false,
  isLoadingOlder: false,
  hasFailed: false,
});
let view = newView();

/** Shows the view to who is logged in; what is there already stays and is brought up to date. */
export function openPurchases() {
  if (!view.isOpen) {
    view.isOpen = true;
    restore();
    showBusy();
  }
  refresh();
}

/** Leaves nothing of the last user in the page, shown or hidden. */
export function clearPurchases() {
  view.following?.abort();
  view = newView();
  for (const id of ['orders', 'bought', 'bought-summary']) $(id).replaceChildren();
  const parts = ['orders-view', 'bought-summary', 'range', 'bought-empty', 'more-bought', 'bought-end', 'range-all'];
  for (const id of parts) $(id).hidden = true;
  for (const id of ['orders-notice', 'bought-notice', 'older-notice']) notice($(id), '');
  for (const id of ['buy', 'range']) {
    $(id).reset();
    clearProblem($(id));
  }
}

// -------------------------------------------------------------------------------------------------- Buying

async function buy({ item, price }) {
  const name = item.trim();
  const body = { price: price.trim(), ...(name && { item: name }) };
  const mine = view;
  const { task, sequence, isRepeated } = await submit(PATH, body);
  if (mine !== view) return;
  if ($('buy').contains(document.activeElement)) $('buy-item').focus();
  // Whoever has written the next one meanwhile keeps it.
  if ($('buy-item').value === item && $('buy-price').value === price) $('buy').reset();
  const done = [...view.orders.values()].filter(({ task: { status } }) => status === 'succeeded');
  for (const order of done.slice(0, 1 - DONE_SHOWN)) view.orders.delete(order.task.id);
  view.orders.set(task.id, asOf(task, body));
  drawOrders();
  keepOrders();
  followOrders(sequence);
  setTimeout(() => {
    if (mine === view && isUnderWay(view.orders.get(task.id))) announce(`${nameIn(body)}. ${tellPurchase(task)}`);
  }, SLOW_MS);
  const early = view.early.get(task.id);
  if (early) see(early);
  // Bought by an earlier click whose answer was lost: the stream may be past its end.
  else if (isRepeated) await readOrder(task.id).catch(() => {});
}

const isUnderWay = (order) => Boolean(order) && !isFinal(order.task);
const anyUnderWay = () => [...view.orders.values()].filter(isUnderWay);
const nameIn = ({ item, price }) => `${item ?? 'A purchase'}, ${money(price)}`;
/** As it was recorded; before that, as it was written. */
const asOf = (task, order) => ({ ...order, price: task.result?.price ?? order.price, task });

/** Purchases under way outlive a reload of the page. */
function keepOrders() {
  session.keep({ ...session.value, orders: anyUnderWay() });
}

/** Goes on with what a reload or an ended session interrupted. */
function restore() {
  const lost = unsettled(PATH);
  if (lost) {
    $('buy-item').value = lost.item ?? '';
    $('buy-price').value = lost.price;
    const box = $('buy').querySelector('[data-role=notice]');
    notice(box, 'It is not known whether this purchase arrived. Buy it again: if it did, it is not bought twice.', () => {
      giveUp(PATH, lost);
      $('buy').reset();
      clearProblem($('buy'));
    }, 'Forget it');
    box.classList.add('mild');
  }
  for (const order of session.value.orders ?? []) view.orders.set(order.task.id, order);
  if (!view.orders.size) return;
  drawOrders();
  followOrders('');
}

/** Follows all that is under way on one stream, which ends with the last of it. */
function followOrders(from) {
  if (view.following) return;
  const mine = view;
  const stop = new AbortController();
  const link = (state) => showLink($('orders-link'), state);
  view.following = stop;
  notice($('orders-notice'), '');
  link('connecting');
  const ended = (problem) => {
    if (mine !== view) return;
    view.following = null;
    view.early.clear();
    link('ended');
    if (problem) notice($('orders-notice'), explain(problem), () => followOrders(''));
    // One that was bought while the stream came to its end.
    else if (anyUnderWay().length) followOrders('');
  };
  follow('/events', stop.signal, {
    from,
    onLink: link,
    onTask: (task) => { see(task); return !anyUnderWay().length; },
    onGap: () => Promise.all(anyUnderWay().map(({ task }) => readOrder(task.id))),
  }).then(() => ended(null), (problem) => {
    if (!(problem instanceof Problem)) throw problem;
    ended(problem);
  });
}

/** Reads the state of a task, for when its event is past. */
async function readOrder(id) {
  const mine = view;
  let task;
  try {
    task = await read(`/tasks/${encodeURIComponent(id)}`);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
  if (mine !== view) return;
  if (task) {
    see(task);
  } else {
    // Done so long ago that its task is forgotten: what came of it is in the history.
    view.orders.delete(id);
    drawOrders();
    keepOrders();
    refresh();
  }
  if (!anyUnderWay().length) view.following?.abort();
}

/** Takes in the state of a task. Final is said once, and brings the history up to date. */
function see(task) {
  if (task.kind !== 'purchase') return;
  const order = view.orders.get(task.id);
  // Of another tab, or of this one ahead of its answer.
  if (!order) view.early.set(task.id, task);
  if (order && isUnderWay(order)) {
    const name = nameIn(asOf(task, order));
    view.orders.set(task.id, asOf(task, order));
    drawOrders();
    keepOrders();
    if (isFinal(task)) {
      announce(task.status === 'succeeded' ? `Confirmed: ${name}.` : `Not recorded: ${name}. ${tellPurchase(task)}`);
    }
  }
  if (task.status === 'succeeded') refresh();
}

const drawName = (item) => (item ? element('bdi', { class: 'item' }, item)
  : element('span', { class: 'item unnamed' }, 'Unnamed'));

const drawOrder = ({ item, price, task }) => element('li', { class: 'order', 'data-task': task.id },
  drawName(item),
  element('span', { class: 'price' }, money(price)),
  element('span', { class: 'badge', 'data-status': task.status }, PURCHASE_STATUSES[task.status] ?? task.status),
  element('p', { class: 'fine' }, tellPurchase(task)));

function drawOrders() {
  inPlace(() => {
    $('orders').replaceChildren(...[...view.orders.values()].reverse().map(drawOrder));
    $('orders-view').hidden = view.orders.size === 0;
  });
}

// ------------------------------------------------------------------------------------------------- History

/** Brings summary and history up to date; what is asked for meanwhile is done once more at the end. */
async function refresh() {
  view.isStale = true;
  if (view.isReading) return;
  const mine = view;
  mine.isReading = true;
  try {
    while (mine.isStale && mine === view) {
      mine.isStale = false;
      await readNewest();
    }
  } finally {
    mine.isReading = false;
  }
}

/** What is read for the range of now; none if it failed, or if another range was chosen meanwhile. */
async function readOfRange(box, again, work) {
  const { range } = view;
  const answer = await forPresentUser($(box), again, () => work(range));
  return range === view.range ? answer : null;
}

async function readNewest() {
  const asked = view.range;
  const answers = await readOfRange('bought-notice', refresh, (range) => Promise.all([
    read(`${PATH}/summary${range.replace('&', '?')}`), read(`${PATH}?limit=${PAGE}${range}`)]));
  if (asked !== view.range) return;
  const list = $('bought');
  list.setAttribute('aria-busy', 'false');
  list.querySelector('.skeleton')?.remove();
  if (!answers) {
    // No sum of other days above a list that is not there.
    if (!list.children.length) $('bought-summary').hidden = true;
    return;
  }
  const [summary, page] = answers;
  drawSummary(summary);
  const known = page.items.findIndex(({ id }) => rowOf(id));
  if (known < 0) {
    // The first page, or so much that is new that there would be a gap.
    const isFirst = !$('bought-empty').hidden;
    list.replaceChildren(...page.items.map((purchase) => drawPurchase(purchase, isFirst)));
    view.next = page.next ?? null;
    view.pages = 1;
  } else {
    inPlace(() => list.prepend(...page.items.slice(0, known).map((purchase) => drawPurchase(purchase, true))));
  }
  showEnd();
}

function drawSummary(summary) {
  const figure = (name, value, look = '') => element('div', { class: look },
    element('dt', {}, name), element('dd', {}, value));
  $('bought-summary').replaceChildren(
    figure('Total', money(summary.total), summary.total.length > 12 ? 'total long' : 'total'),
    figure('Purchases', count(summary.count)),
    ...(summary.first_at ? [figure('First', time(summary.first_at, day)), figure('Latest', time(summary.last_at, day))] : []));
  for (const id of ['bought-summary', 'range']) $(id).hidden = summary.count === 0 && !view.range;
}

const rowOf = (id) => $('bought').querySelector(`[data-purchase="${CSS.escape(id)}"]`);

/** Changes what stands above without moving what is being read. */
function inPlace(change) {
  const rows = [...$('bought').children];
  const first = rows.find((row) => row.getBoundingClientRect().bottom > 0);
  const before = first?.getBoundingClientRect().top;
  const isTop = first === rows[0] && before >= 0;
  change();
  // At the top of the list there is nothing to hold on to: the new row is what one wants to see.
  if (first && !isTop) window.scrollBy(0, first.getBoundingClientRect().top - before);
}

function drawPurchase({ id, item, price, purchased_at: at }, isNew) {
  return element('li', { class: isNew ? 'purchase new' : 'purchase', 'data-purchase': id },
    drawName(item),
    element('span', { class: 'price' }, money(price)),
    element('span', { class: 'fine' }, time(at, moment)));
}

function showBusy() {
  const list = $('bought');
  list.setAttribute('aria-busy', 'true');
  list.replaceChildren(placeholder('Loading your purchases…'));
  for (const id of ['bought-empty', 'more-bought', 'bought-end']) $(id).hidden = true;
  notice($('older-notice'), '');
  release($('more-bought'), 'Show more');
}

/** Shows how the list ends: with more to come, with all, or with nothing at all. */
function showEnd() {
  const isEmpty = $('bought').children.length === 0;
  $('more-bought').hidden = view.next === null;
  $('bought-end').hidden = view.next !== null || isEmpty;
  $('bought-empty').hidden = view.next !== null || !isEmpty;
  $('bought-empty-title').textContent = view.range ? 'Nothing in this time' : 'Nothing bought yet';
  $('bought-empty-text').textContent = view.range ? 'Choose other dates, or all of them.'
    : 'Buy something and it appears here, the moment it is recorded.';
  lookAgain();
}

/** Loads the next page; by hand, the keyboard continues from the first of its rows. */
async function loadOlder(byHand) {
  if (view.isLoadingOlder || view.next === null) return;
  const mine = view;
  const button = $('more-bought');
  mine.isLoadingOlder = true;
  mine.pages = byHand ? 1 : mine.pages + 1;
  block(button, 'Loading…');
  const { range, next } = view;
  const path = `${PATH}?limit=${PAGE}&cursor=${encodeURIComponent(next)}`;
  const page = await readOfRange('older-notice', null, (of) => read(`${path}${of}`));
  mine.isLoadingOlder = false;
  if (mine !== view) return;
  // It belongs to the list that it was asked for, which may be another by now.
  const isWanted = range === view.range && next === view.next;
  if (isWanted) view.hasFailed = !page;
  release(button, view.hasFailed ? 'Try again' : 'Show more');
  if (!isWanted) lookAgain();
  if (!isWanted || !page) return;
  const rows = page.items.filter(({ id }) => !rowOf(id)).map((purchase) => drawPurchase(purchase, false));
  $('bought').append(...rows);
  view.next = page.next ?? null;
  showEnd();
  if (byHand) focusOn(rows[0]);
}

// The end of the list loads what follows before it comes into sight.
const approach = new IntersectionObserver((entries) => {
  if (entries.at(-1).isIntersecting && !view.hasFailed && view.pages < PAGES_BY_THEMSELVES) loadOlder(false);
}, { rootMargin: '0px 0px 400px' });

/** An observer speaks of changes only: it is asked anew after each page, which may have been a short one. */
function lookAgain() {
  approach.unobserve($('more-bought'));
  approach.observe($('more-bought'));
}

// --------------------------------------------------------------------------------------------------- Range

/** The start of a day as this person's clock has it, as the API takes it. */
function startOf(date, daysLater = 0) {
  const start = new Date(`${date}T00:00`);
  start.setDate(start.getDate() + daysLater);
  return Number.isNaN(start.getTime()) ? date : start.toISOString();
}

function choose({ from, to }) {
  if (from && to && from > to) {
    throw new Problem({ status: 422, errors: [{ pointer: '/to', detail: 'The last day must not be before the first' }] });
  }
  const range = String(new URLSearchParams({ ...(from && { from: startOf(from) }), ...(to && { to: startOf(to, 1) }) }));
  view.range = range && `&${range}`;
  view.next = null;
  view.hasFailed = false;
  $('range-all').hidden = !view.range;
  showBusy();
  return refresh();
}

function chooseAll() {
  $('range').reset();
  clearProblem($('range'));
  $('bought-title').focus();
  choose({});
}

onSubmit($('buy'), 'Buying…', buy);
onSubmit($('range'), 'Loading…', choose);
$('range-all').addEventListener('click', chooseAll);
$('more-bought').addEventListener('click', () => loadOlder(true));
