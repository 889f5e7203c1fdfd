//! What follows from how a step ended. Pure: time and randomness are arguments.

use card_core::retry::RetryPolicy;
use card_core::tasks::End;
use card_core::time::Instant;
use card_kinds::Step;

/// `attempt` counts from 1; `now` is by the ledger's clock; `jitter` lies in `0.0..1.0`.
pub(super) fn conclude(step: Step, attempt: u32, policy: &RetryPolicy, now: Instant, jitter: f64) -> End {
    match step {
        Step::Settle(outcome) => End::Settle(outcome),
        Step::Retry(error) => match policy.wait_after(attempt, jitter) {
            Some(wait) => End::RetryAt { due: now.plus(wait), error, counts: true },
            None => End::GiveUp(error),
        },
        Step::GiveUp(error) => End::GiveUp(error),
        Step::Defer { wait, error } => End::RetryAt { due: now.plus(wait), error, counts: false },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use card_core::tasks::TaskError;
    use card_kinds::task_error;

    use super::*;

    fn error() -> TaskError {
        task_error("some-error", "it failed")
    }

    proptest! {
        #[test]
        fn a_failed_attempt_is_retried_until_the_last(attempt in 1_u32..20, max_attempts in 1_u32..20, jitter in 0.0..1.0_f64) {
            let policy = RetryPolicy { max_attempts, base: Duration::from_millis(200), cap: Duration::from_secs(30) };
            let now = Instant::from_micros(1_000_000);
            match conclude(Step::Retry(error()), attempt, &policy, now, jitter) {
                End::RetryAt { due, counts, .. } => {
                    prop_assert!(attempt < max_attempts && counts);
                    prop_assert!(due >= now && due <= now.plus(policy.ceiling(attempt)));
                }
                End::GiveUp(given_up) => prop_assert!(attempt >= max_attempts && given_up == error()),
                End::Settle(_) => prop_assert!(false),
            }
        }

        #[test]
        fn waiting_uses_up_no_attempt(attempt in 1_u32..20, wait in 0_u64..1_000_000_000) {
            let policy = RetryPolicy { max_attempts: 1, base: Duration::ZERO, cap: Duration::ZERO };
            let (now, wait) = (Instant::from_micros(1_000_000), Duration::from_micros(wait));
            let end = conclude(Step::Defer { wait, error: error() }, attempt, &policy, now, 0.5);
            let uncounted = matches!(end, End::RetryAt { due, counts: false, .. } if due == now.plus(wait));
            prop_assert!(uncounted, "{end:?}");
        }
    }
}
