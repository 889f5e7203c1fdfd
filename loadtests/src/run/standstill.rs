//! How long this process did not run at all: it was stopped, its machine slept, or others had the processor.
//!
//! A thread that does nothing but sleep a little, again and again, wakes late when nobody in this process could have run.
//! While the machine sleeps the clock that the measuring goes by stands still as well, so the one that goes on is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long it sleeps.
const NAP: Duration = Duration::from_millis(20);
/// Less than this is what a machine that others use as well costs everybody.
const NOTABLE: Duration = Duration::from_millis(100);

/// Watches from when it is made until it is dropped.
pub(super) struct Standstill {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Duration,
    stood_still: Duration,
}

impl Standstill {
    pub(super) fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Seen { at: now(), stood_still: Duration::ZERO }));
        let watched = Arc::downgrade(&seen);
        // Without the thread (a machine that has no room for one) whoever takes is the only one that looks.
        let _ = std::thread::Builder::new().name("standstill".to_owned()).spawn(move || {
            while let Some(seen) = watched.upgrade() {
                lock(&seen).look(now());
                drop(seen);
                std::thread::sleep(NAP);
            }
        });
        Self { seen }
    }

    /// How long it stood still since this was asked last.
    pub(super) fn take(&self) -> Duration {
        let mut seen = lock(&self.seen);
        // Who asks may be awake before the one that watches.
        seen.look(now());
        std::mem::take(&mut seen.stood_still)
    }
}

impl Seen {
    fn look(&mut self, now: Duration) {
        let late = now.saturating_sub(self.at).saturating_sub(NAP);
        if late >= NOTABLE {
            self.stood_still += late;
        }
        self.at = now;
    }
}

/// Since the machine was started, the time that it slept among it.
fn now() -> Duration {
    let clock = clock_gettime(ClockId::CLOCK_BOOTTIME).or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC));
    clock.map(Duration::from).unwrap_or_default()
}

// A look is whole or was not: nothing that runs under this lock can panic half-way.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What is found by somebody who looks at these milliseconds.
    fn found(looks: &[u64]) -> Duration {
        let mut seen = Seen { at: millis(looks[0]), stood_still: Duration::ZERO };
        looks[1..].iter().for_each(|at| seen.look(millis(*at)));
        seen.stood_still
    }

    #[test]
    fn what_wakes_late_stood_still() {
        assert_eq!(found(&[0, 20, 40, 60]), Duration::ZERO);
        assert_eq!(found(&[0, 20, 130, 150]), Duration::ZERO, "a little late is late and no more");
        assert_eq!(found(&[0, 20, 2540, 2560]), millis(2500));
        assert_eq!(found(&[0, 1020, 1040, 2060]), millis(2000));
        assert_eq!(found(&[1000, 400, 420]), Duration::ZERO, "no clock goes back, and if one did it would be none");
    }

    #[test]
    fn a_process_that_runs_does_not_stand_still_for_as_long_as_it_was_watched() {
        let (standstill, begun) = (Standstill::watch(), now());
        std::thread::sleep(millis(60));
        let first = standstill.take();
        assert!(first < now() - begun, "{first:?}");
    }
}
