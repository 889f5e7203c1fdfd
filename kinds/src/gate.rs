//! A [`Breaker`] that many steps share, with the time, the log and the promise that a step which vanishes (cut off,
//! panicked) does not leave it waiting for a verdict.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{Admission, Breaker, Pass, Verdict};

/// A breaker in use.
#[derive(Debug)]
pub struct Gate {
    guards: &'static str,
    breaker: Mutex<Breaker>,
}

impl Gate {
    /// Before what (`guards`, for the log).
    #[must_use]
    pub fn new(guards: &'static str, breaker: Breaker) -> Self {
        Self { guards, breaker: Mutex::new(breaker) }
    }

    /// What may be claimed now.
    #[must_use]
    pub fn admission(&self) -> Admission {
        self.lock().admission(now())
    }

    /// Leave to make one call.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn pass(self: &Arc<Self>) -> Result<Passing, Duration> {
        let pass = self.lock().pass(now())?;
        Ok(Passing { gate: Arc::clone(self), pass: Some(pass) })
    }

    fn record(&self, pass: Pass, verdict: Verdict) -> Option<Duration> {
        let mut breaker = self.lock();
        let now = now();
        let before = breaker.is_closed();
        breaker.record(pass, verdict, now);
        let after = breaker.is_closed();
        let outage = breaker.outage(now);
        drop(breaker);
        match (before, after, outage) {
            (true, false, Some(wait)) => tracing::warn!(
                guards = self.guards,
                pause_ms = wait.as_millis() as u64,
                "too many calls fail: the breaker is open, tasks wait without using up attempts"
            ),
            (false, true, _) => tracing::info!(guards = self.guards, "calls work again: the breaker is closed"),
            _ => {}
        }
        outage
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one call. Dropped without a verdict, the call counts for nothing.
#[derive(Debug)]
pub struct Passing {
    gate: Arc<Gate>,
    pass: Option<Pass>,
}

impl Passing {
    /// The other side answered. Says for how long it is taken to be down all the same, if it is.
    pub fn worked(self) -> Option<Duration> {
        self.end(Verdict::Worked)
    }

    /// The other side did not answer, or only that it can't. Says for how long it is taken to be down, if it is.
    pub fn failed(self) -> Option<Duration> {
        self.end(Verdict::Failed)
    }

    fn end(mut self, verdict: Verdict) -> Option<Duration> {
        self.pass.take().and_then(|pass| self.gate.record(pass, verdict))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.gate.record(pass, Verdict::Vanished);
        }
    }
}

fn now() -> std::time::Instant {
    // Tokio's clock, so that tests can pause it.
    Instant::now().into_std()
}
