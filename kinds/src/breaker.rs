//! A circuit breaker as a pure state machine: time is an argument, there is no lock and no log.
//!
//! ```text
//!             enough calls of the window failed
//!   closed ───────────────────────────────────────► open ◄──────────┐
//!     ▲                                               │ pause over    │ probe failed:
//!     │                 probe worked                  ▼               │ pause doubles
//!     └────────────────────────────────────────── half-open ────────┘
//! ```
//!
//! While it is open nothing passes; half-open, one call at a time does. Calls that passed before the breaker changed
//! state say nothing any more when they end. After the pattern in Michael Nygard, "Release It!".

use std::time::{Duration, Instant};

use card_core::settings;

/// The pause never grows beyond this, unless the first one is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a call waits that finds a probe under way.
const PROBE_WAIT: Duration = Duration::from_millis(250);
/// The window moves in this many steps.
const SLOTS: usize = 10;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// It stays closed while fewer calls than this ended in the window.
    pub min_calls: u32,
    /// It opens when at least this share of them failed: above 0, at most 1.
    pub failure_ratio: f64,
    /// Length of the window and of the first pause.
    pub window: Duration,
}

impl From<&settings::IssuerClient> for Rules {
    fn from(settings: &settings::IssuerClient) -> Self {
        Self {
            min_calls: settings.breaker_min_calls,
            failure_ratio: settings.breaker_failure_ratio,
            window: settings.breaker_window,
        }
    }
}

/// What may pass now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everything.
    Free,
    /// One call.
    Probe,
    /// Nothing until the probe under way has ended.
    Probing,
    /// Nothing for so long.
    Closed {
        /// The rest of the pause.
        wait: Duration,
    },
}

/// How a call that passed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The other side answered, whatever it said.
    Worked,
    /// It did not, or only that it can't.
    Failed,
    /// The call was cut off from this side.
    Vanished,
}

/// Leave for one call, to be given back with its verdict.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    generation: u64,
}

/// The state machine.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    state: State,
    /// Counts the changes of state: a pass of an earlier one is worth nothing.
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration, probing: bool },
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: State::Closed(Window::default()), generation: 0 }
    }

    /// Whether everything passes.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// What may pass.
    #[must_use]
    pub fn admission(&self, now: Instant) -> Admission {
        match self.state {
            State::Closed(_) => Admission::Free,
            State::Open { until, .. } if now < until => Admission::Closed { wait: until - now },
            State::Open { .. } | State::HalfOpen { probing: false, .. } => Admission::Probe,
            State::HalfOpen { probing: true, .. } => Admission::Probing,
        }
    }

    /// For how long the other side is taken to be down; none if it is not.
    #[must_use]
    pub fn outage(&self, now: Instant) -> Option<Duration> {
        match self.admission(now) {
            Admission::Free => None,
            Admission::Probe | Admission::Probing => Some(PROBE_WAIT),
            Admission::Closed { wait } => Some(wait),
        }
    }

    /// Leave for one call.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn pass(&mut self, now: Instant) -> Result<Pass, Duration> {
        match self.admission(now) {
            Admission::Free => {}
            Admission::Probe => {
                let pause = match self.state {
                    State::Open { pause, .. } | State::HalfOpen { pause, .. } => pause,
                    State::Closed(_) => self.rules.window,
                };
                self.change(State::HalfOpen { pause, probing: true });
            }
            Admission::Probing => return Err(PROBE_WAIT),
            Admission::Closed { wait } => return Err(wait),
        }
        Ok(Pass { generation: self.generation })
    }

    /// Takes in how a call ended.
    pub fn record(&mut self, pass: Pass, verdict: Verdict, now: Instant) {
        if pass.generation != self.generation {
            return;
        }
        match (&mut self.state, verdict) {
            (State::Closed(_), Verdict::Vanished) | (State::Open { .. }, _) => {}
            (State::Closed(window), verdict) => {
                window.count(now, self.rules.window, verdict == Verdict::Failed);
                if window.is_too_bad(&self.rules) {
                    self.open(self.rules.window, now);
                }
            }
            (State::HalfOpen { .. }, Verdict::Worked) => self.change(State::Closed(Window::default())),
            (State::HalfOpen { pause, .. }, Verdict::Failed) => {
                let pause = pause.saturating_mul(2).min(LONGEST_PAUSE.max(self.rules.window));
                self.open(pause, now);
            }
            (State::HalfOpen { pause, .. }, Verdict::Vanished) => {
                let pause = *pause;
                self.change(State::HalfOpen { pause, probing: false });
            }
        }
    }

    fn open(&mut self, pause: Duration, now: Instant) {
        self.change(State::Open { until: now + pause, pause });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

/// Calls of the last while, counted in slots so that old ones drop out without being remembered one by one.
#[derive(Debug, Default)]
struct Window {
    newest: Option<Instant>,
    slots: [Slot; SLOTS],
    at: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    calls: u32,
    failures: u32,
}

impl Window {
    fn count(&mut self, now: Instant, length: Duration, failed: bool) {
        let slot_length = (length / SLOTS as u32).max(Duration::from_nanos(1));
        let newest = *self.newest.get_or_insert(now);
        let steps = now.saturating_duration_since(newest).as_nanos() / slot_length.as_nanos();
        if steps > 0 {
            for _ in 0..steps.min(SLOTS as u128) {
                self.at = (self.at + 1) % SLOTS;
                self.slots[self.at] = Slot::default();
            }
            let whole = u32::try_from(steps).ok().and_then(|steps| slot_length.checked_mul(steps));
            self.newest = Some(whole.map_or(now, |whole| newest + whole));
        }
        let slot = &mut self.slots[self.at];
        slot.calls = slot.calls.saturating_add(1);
        slot.failures = slot.failures.saturating_add(u32::from(failed));
    }

    fn is_too_bad(&self, rules: &Rules) -> bool {
        let calls: u64 = self.slots.iter().map(|slot| u64::from(slot.calls)).sum();
        let failures: u64 = self.slots.iter().map(|slot| u64::from(slot.failures)).sum();
        failures > 0 && calls >= u64::from(rules.min_calls) && failures as f64 >= rules.failure_ratio * calls as f64
    }
}

#[cfg(test)]
mod tests;
