//! When a call that failed is made again, and how much later: one rule for whoever sends, asks or reads.
//!
//! What is passing is tried again with back-off while there is time for it, and as long as `Retry-After` says. What
//! somebody else answers in the platform's place is tried again a few times only, and more slowly: a gateway that always
//! fails is not hammered. A full disk is waited for a moment only: it may be one that is being cleared, and else nothing
//! helps but somebody who hears of it.

use std::time::Duration;

use card_core::retry::RetryPolicy;
use tokio::time::Instant;

use crate::ClientError;

/// Back-off where nobody answered, or the platform said that it passes.
const USUAL: RetryPolicy =
    RetryPolicy { max_attempts: u32::MAX, base: Duration::from_millis(50), cap: Duration::from_secs(2) };
/// Back-off where something else answered.
const FOREIGN: RetryPolicy =
    RetryPolicy { max_attempts: u32::MAX, base: Duration::from_millis(500), cap: Duration::from_secs(4) };
/// So many answers of something else to one call, and no more.
const FOREIGN_ANSWERS: u32 = 6;

/// How long a full disk is waited for.
const FULL: Duration = Duration::from_secs(3);

/// How long a gateway is asked again before a load begins.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(15);

/// The tries of one call.
#[derive(Debug)]
pub struct Retries {
    begun: Instant,
    patience: Duration,
    failures: u32,
    foreign: u32,
    most_foreign: u32,
    /// Since when the disk is full.
    full: Option<Instant>,
}

/// How long a call that fails like this is tried again, by who has so much patience.
#[must_use]
pub fn patience(error: &ClientError, patience: Duration) -> Duration {
    if error.is_disk_full() { patience.min(FULL) } else { patience }
}

impl Retries {
    /// Of a call that begins now and is given up after `patience`.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { begun: Instant::now(), patience, failures: 0, foreign: 0, most_foreign: FOREIGN_ANSWERS, full: None }
    }

    /// The same, given up after so many answers that are not the platform's.
    #[must_use]
    pub fn at_most_foreign(self, answers: u32) -> Self {
        Self { most_foreign: answers, ..self }
    }

    /// How long to wait before it is made again; none if it is not. `jitter` is a random number in `0.0..1.0`.
    pub fn wait_after(&mut self, error: &ClientError, jitter: f64) -> Option<Duration> {
        self.failures += 1;
        self.foreign += u32::from(error.is_foreign());
        if !(error.is_retryable() || error.is_unknown()) || self.foreign >= self.most_foreign {
            return None;
        }
        let ceiling = if error.is_foreign() { FOREIGN.ceiling(self.foreign) } else { USUAL.ceiling(self.failures) };
        // Never at once: half of it is kept.
        let wait = ceiling.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        let wait = wait.max(error.retry_after().unwrap_or_default());
        let full = error.is_disk_full().then(|| *self.full.get_or_insert_with(Instant::now));
        self.full = full;
        let is_within = |since: Instant, limit| since.elapsed() + wait < limit;
        (is_within(self.begun, self.patience) && full.is_none_or(|since| is_within(since, FULL))).then_some(wait)
    }
}

/// Makes a call that can be repeated without harm until it succeeds, or there is no sense in it.
///
/// # Errors
/// What the last one came to.
pub async fn patiently<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut retries = Retries::new(patience);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match retries.wait_after(&error, rand::random()) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(error),
        }
    }
}

/// Makes a call again while a proxy in front of the platform refuses it for now: what comes before a load is a handful
/// of calls at once, which one that counts requests may not let pass. What the platform says, or its silence, is final.
///
/// # Errors
/// What the last one came to.
pub async fn past_a_gateway<T, F>(mut call: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut retries = Retries::new(GATEWAY_PATIENCE);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match retries.wait_after(&error, rand::random()).filter(|_| matches!(error, ClientError::Gateway(_))) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GatewayAnswer;

    const LONG: Duration = Duration::from_secs(15);

    fn gateway(status: u16, retry_after: Option<u64>) -> ClientError {
        let retry_after = retry_after.map(Duration::from_secs);
        ClientError::Gateway(Box::new(GatewayAnswer { url: String::new(), status, by: None, retry_after }))
    }

    fn silence() -> ClientError {
        ClientError::NoAnswer { url: String::new(), detail: String::new() }
    }

    /// Every wait of a call that always fails like this, with no jitter, on a clock that stands still but for the waits.
    async fn waits(error: &ClientError, jitter: f64) -> Vec<Duration> {
        let mut retries = Retries::new(LONG);
        let mut waits = Vec::new();
        while let Some(wait) = retries.wait_after(error, jitter) {
            waits.push(wait);
            tokio::time::sleep(wait).await;
        }
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_always_fails_is_asked_a_few_times_and_ever_more_slowly() {
        for jitter in [0.0, 1.0] {
            for status in [429, 502, 503, 504] {
                let waits = waits(&gateway(status, None), jitter).await;
                assert!(waits.len() < FOREIGN_ANSWERS as usize, "{status}: {waits:?}");
                assert!(waits.is_sorted() && waits[0] >= Duration::from_millis(250), "{status}: {waits:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_final_is_not_asked_again() {
        for status in [302, 400, 401, 403, 404, 407] {
            assert!(waits(&gateway(status, Some(1)), 0.5).await.is_empty(), "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_it_is_told_and_gives_up_what_takes_longer_than_there_is_time() {
        let waits_of = waits(&gateway(429, Some(4)), 0.0).await;
        assert_eq!(waits_of, [Duration::from_secs(4); 3], "a fourth would be too late");
        assert!(waits(&gateway(503, Some(3600)), 0.0).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_waited_for_a_moment() {
        let document = serde_json::json!({
            "type": "", "title": "", "status": 503, "detail": "", "instance": "", "code": "disk-full", "request_id": "",
        });
        let problem = Box::new(serde_json::from_value(document).unwrap());
        let full = ClientError::Refused { problem, retry_after: Some(Duration::from_secs(1)) };
        assert_eq!(waits(&full, 1.0).await, [Duration::from_secs(1); 2]);
        assert_eq!(patience(&full, LONG), FULL);
        assert_eq!(patience(&full, Duration::ZERO), Duration::ZERO);
        assert_eq!(patience(&silence(), LONG), LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_followed_up_while_there_is_time() {
        let waits = waits(&silence(), 1.0).await;
        let all: Duration = waits.iter().sum();
        assert!(waits.len() > 8 && all < LONG && all > Duration::from_secs(12), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_again_until_it_succeeds() {
        let mut answers = vec![Ok(7), Err(gateway(503, None)), Err(silence())];
        assert_eq!(patiently(LONG, || std::future::ready(answers.pop().unwrap())).await.unwrap(), 7);
        let mut calls = 0;
        let refused = patiently(LONG, || {
            calls += 1;
            std::future::ready(Err::<(), _>(gateway(403, None)))
        });
        assert_eq!((refused.await.unwrap_err().name(), calls), ("http-403", 1));
        let mut answers = vec![Ok(7), Err(gateway(429, None))];
        assert_eq!(past_a_gateway(|| std::future::ready(answers.pop().unwrap())).await.unwrap(), 7);
        let silent = past_a_gateway(|| std::future::ready(Err::<(), _>(silence()))).await;
        assert_eq!(silent.unwrap_err().name(), "no-answer");
    }
}
