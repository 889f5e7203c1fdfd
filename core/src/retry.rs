//! When a failed attempt is tried again: exponential back-off with full jitter, as in Marc Brooker,
//! "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a uniformly random wait between zero and
//! `min(cap, base · 2^(attempt-1))`, which spreads a crowd of retries evenly instead of in waves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often, and how far apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetryPolicy {
    /// Attempts in all; after the last the task is dead. At least 1.
    pub max_attempts: u32,
    /// Ceiling of the first wait.
    #[serde(with = "crate::time::duration")]
    pub base: Duration,
    /// Ceiling of any wait.
    #[serde(with = "crate::time::duration")]
    pub cap: Duration,
}

impl RetryPolicy {
    /// The longest wait after `attempt` (counted from 1) failed.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The wait after `attempt` (counted from 1) failed, or none if that was the last one.
    ///
    /// `jitter` is a random number in `0.0..1.0`: an argument, so that the rule is a pure function.
    #[must_use]
    pub fn wait_after(&self, attempt: u32, jitter: f64) -> Option<Duration> {
        (attempt < self.max_attempts).then(|| self.ceiling(attempt).mul_f64(jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_never_exceeds_its_ceiling_or_the_cap(
            attempt in 1_u32..200, jitter in 0.0..1.0_f64, base in 0_u64..10_000, cap in 0_u64..600_000,
        ) {
            let policy = RetryPolicy {
                max_attempts: 300, base: Duration::from_millis(base), cap: Duration::from_millis(cap),
            };
            let wait = policy.wait_after(attempt, jitter).unwrap();
            prop_assert!(wait <= policy.ceiling(attempt));
            prop_assert!(wait <= policy.cap);
            prop_assert!(policy.ceiling(attempt) <= policy.ceiling(attempt + 1));
        }

        #[test]
        fn after_the_last_attempt_there_is_no_wait(max in 1_u32..50, beyond in 0_u32..50) {
            let policy = RetryPolicy { max_attempts: max, base: Duration::from_secs(1), cap: Duration::from_secs(9) };
            prop_assert_eq!(policy.wait_after(max + beyond, 0.5), None);
        }
    }
}
