// What is said about tasks, problems, times and amounts.

export const NETWORKS = { visa: 'Visa', mastercard: 'Mastercard', amex: 'Amex' };
const ENDINGS = { declined: 'Declined', dead: 'Given up', cancelled: 'Called off' };
export const REQUEST_STATUSES = {
  queued: 'Waiting', running: 'Under way', retrying: 'Trying again', succeeded: 'Card issued', ...ENDINGS,
};
export const PURCHASE_STATUSES = {
  queued: 'Waiting', running: 'Being recorded', retrying: 'Trying again', succeeded: 'Confirmed', ...ENDINGS,
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
export const isFinal = ({ status }) => FINAL.includes(status);
export const sentence = (text) => {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
};
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;
export const cause = (error) => sentence(CAUSES[error?.code] || error?.message || 'the reason is not known');

// The page is in English, so are its dates; which English is the reader's choice.
const locale = navigator.languages.find((language) => language.startsWith('en')) ?? 'en-GB';
export const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
export const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' });
const thisYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const anyYear = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
export const moment = {
  format: (at) => (at.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(at),
};

export const count = (number) => new Intl.NumberFormat(locale).format(number);

/** An amount with its thousands apart. It is text and stays text: no number of a browser holds every amount exactly. */
export function money(amount) {
  const [whole, ...part] = amount.split('.');
  return [whole.replace(/\B(?=(\d{3})+$)/g, ','), ...part].join('.');
}

export function duration(from, to) {
  const milliseconds = Math.max(0, Date.parse(to) - Date.parse(from));
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${(milliseconds / 1000).toFixed(1)} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${Math.round(seconds / 360) / 10} h`;
}

/** What the state of a request for a card means to the person who waits: a heading and a sentence. */
export function tell(task, attempt) {
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

/** What the state of a purchase means, in a sentence. */
export function tellPurchase(task) {
  switch (task.status) {
    case 'queued':
      return 'Stored safely. It waits for its turn.';
    case 'running':
      return 'Stored safely. It is being recorded.';
    case 'retrying':
      return `Stored safely. Attempt ${task.attempts} did not work. ${cause(task.error)} The next one comes by itself.`;
    case 'succeeded':
      return `Recorded in ${duration(task.accepted_at, task.settled_at)}.`;
    case 'dead':
      return `We gave up after ${plural(task.attempts, 'attempt')}. ${cause(task.error)} Nothing was recorded, and you can `
        + 'buy it again.';
    default:
      return `${cause(task.error)} Nothing was recorded, and you can buy it again.`;
  }
}

/** What a problem says; with a `Retry-After`, how long to wait takes the place of "try again". */
export function explain({ detail, errors, retryAfter: wait }) {
  if (errors.length) return errors.map((error) => sentence(error.detail)).join(' ');
  if (!wait) return sentence(detail);
  return `${sentence(detail.replace(/[;,.]\s*(wait and )?try again\.?$/i, ''))} Try again in ${plural(wait, 'second')}.`;
}
