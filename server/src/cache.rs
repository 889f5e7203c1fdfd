//! Answers to reads, kept in memory and never older than the ledger (P10).
//!
//! The log decides what may be used, not time. Each answer is kept under the place in the log of the last effect that its
//! owner was known to have (the mark). Before it is used this server has read the log: up to the sequence that the
//! caller asks for, or, if it asks for none, as far as the log goes now. An effect that came meanwhile has moved the
//! mark by then, and the answer is not found any more. Nothing has to be thrown away in time, so nothing can be forgotten.
//!
//! - What is read while effects come is at worst newer than its mark, which is right, and read once more later.
//! - Callers that come while the log is read wait for the next reading, which all of them share; so do those that miss the
//!   same answer.
//! - Marks are kept for the hash of an owner and a kind: two that share one cost a read, and nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use card_core::engine::{EngineError, EventFilter, EventSeq};
use card_core::ids::UserId;
use card_core::problem::Code;
use card_core::tasks::Kind;
use card_core::telemetry::metrics::CACHE_REQUESTS;
use metrics::counter;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::http::version::{Cost, ReadHeaders, not_modified, of_version, tag};
use crate::problem::Refusal;

/// The caches, by their names in `cache_requests_total`.
const CACHES: [&str; 3] = ["purchases", "purchases-summary", "cards"];
/// 1 MiB of marks: of 2,000 users who write at once, one or two in a hundred share one.
const MARKS: usize = 1 << 17;
/// Changes read from the log in one go.
const CHUNK: usize = 1_000;
/// How long a read waits for the log to get as far as it was asked for.
const WAIT: Duration = Duration::from_secs(2);
/// Looks again this often even if nothing was heard: wake-ups may be lost.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What an answer takes besides its text and its question: key, counts and links, about.
const OVERHEAD: usize = 256;

/// What was asked: the same question of the same owner has the same answer, as long as nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Which of [`CACHES`] this is.
    pub(crate) cache: &'static str,
    /// Whose effects it is about ...
    pub(crate) owner: UserId,
    /// ... and of which kind.
    pub(crate) kind: Kind,
    /// What else was asked: range, page.
    pub(crate) rest: String,
}

/// The body of an answer, and its version.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    body: Bytes,
    version: i64,
}

impl Answer {
    /// A JSON body.
    ///
    /// # Errors
    /// It can't be written: a defect.
    pub(crate) fn json<T: Serialize>(value: &T, version: i64) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(value).map_err(|error| {
            Refusal::new(Code::Internal, "The answer can't be written.").caused_by(error.to_string())
        })?;
        Ok(Self { body: body.into(), version })
    }
}

type Answers = moka::future::Cache<(Question, EventSeq), Answer>;

/// See the module.
pub(crate) struct Cache {
    /// None: it is turned off.
    answers: Option<Answers>,
    log: Followed,
}

impl Cache {
    /// With so many bytes at most; none at all with 0.
    pub(crate) fn new(limit: u64) -> Self {
        let weigh = |(question, _): &(Question, EventSeq), answer: &Answer| {
            u32::try_from(question.rest.len() + answer.body.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        let answers = (limit > 0).then(|| Answers::builder().max_capacity(limit).weigher(weigh).build());
        if answers.is_some() {
            // From the start: what was never asked is 0, not unknown.
            for (cache, outcome) in CACHES.into_iter().flat_map(|cache| [(cache, "hit"), (cache, "miss")]) {
                counter!(CACHE_REQUESTS, "cache" => cache, "outcome" => outcome).increment(0);
            }
        }
        Self { answers, log: Followed::default() }
    }

    /// Answers a question: 304 if the caller has the answer, else from memory or by `load`, which alone answers what is no
    /// question. `now` is the version that `load` would answer with.
    pub(crate) async fn answer(
        &self,
        app: &App,
        headers: &ReadHeaders,
        question: Option<Question>,
        now: impl Future<Output = Result<i64, EngineError>> + Send,
        load: impl Future<Output = Result<Answer, Refusal>> + Send,
    ) -> Result<Response, Refusal> {
        let mut cost = Cost::default();
        let (Some(answers), Some(question)) = (&self.answers, question) else {
            cost.ledger += reach(app, headers).await?;
            if let Some(response) = unchanged(app, headers, now, &mut cost).await? {
                return Ok(cost.of(response));
            }
            cost.ledger += 1;
            return Ok(cost.of(respond(app, headers, load.await?)));
        };
        cost.ledger += self.log.reach(app, headers).await?;
        let (cache, mark) = (question.cache, self.log.mark(question.owner, question.kind));
        let key = (question, mark);
        let count = |outcome| counter!(CACHE_REQUESTS, "cache" => cache, "outcome" => outcome).increment(1);
        if let Some(answer) = answers.get(&key).await {
            count("hit");
            cost.hit = Some(true);
            return Ok(cost.of(respond(app, headers, answer)));
        }
        // Nothing of the owner's is newer than the mark. So who has its version has the latest, and who has another one has to be
        // sent what there is; only if nothing has changed since this server began must the ledger say what the latest is.
        if mark > 0 {
            let version = i64::try_from(mark).unwrap_or(i64::MAX);
            if headers.has_exactly(&tag(app, version)) {
                count("hit");
                cost.hit = Some(true);
                return Ok(cost.of(not_modified(tag(app, version), version)));
            }
        } else if let Some(response) = unchanged(app, headers, now, &mut cost).await? {
            count("miss");
            cost.hit = Some(false);
            return Ok(cost.of(response));
        }
        let entry = answers.entry(key).or_try_insert_with(load).await.map_err(|error| Refusal::clone(&error))?;
        count(if entry.is_fresh() { "miss" } else { "hit" });
        cost.hit = Some(!entry.is_fresh());
        cost.ledger += u64::from(entry.is_fresh());
        Ok(cost.of(respond(app, headers, entry.into_value())))
    }
}

/// 304, if the caller says what it has and has the version of now.
async fn unchanged(
    app: &App,
    headers: &ReadHeaders,
    now: impl Future<Output = Result<i64, EngineError>> + Send,
    cost: &mut Cost,
) -> Result<Option<Response>, Refusal> {
    if !headers.has_any() {
        return Ok(None);
    }
    cost.ledger += 1;
    let version = now.await?;
    let tag = tag(app, version);
    Ok(headers.has(&tag).then(|| not_modified(tag, version)))
}

/// 304 if the caller has the answer, else the answer.
pub(crate) fn respond(app: &App, headers: &ReadHeaders, answer: Answer) -> Response {
    let tag = tag(app, answer.version);
    if headers.has(&tag) { not_modified(tag, answer.version) } else { of_version(answer.body, tag, answer.version) }
}

/// How far this server has read the log, and what it found.
struct Followed {
    marks: Box<[AtomicU64]>,
    /// All up to here is in the marks; none before the log was read for the first time.
    to: AtomicU64,
    /// Readings that have begun ...
    begun: AtomicU64,
    /// ... and the last of them that has ended well.
    ended: AtomicU64,
    turn: Mutex<()>,
}

/// Nothing was read yet.
const UNREAD: u64 = u64::MAX;

impl Default for Followed {
    fn default() -> Self {
        Self {
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
            to: AtomicU64::new(UNREAD),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }
}

impl Followed {
    fn slot(&self, owner: UserId, kind: Kind) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        (owner, kind).hash(&mut hasher);
        &self.marks[usize::try_from(hasher.finish() % MARKS as u64).unwrap_or(0)]
    }

    /// The last effect that an owner is known to have, or another who shares the mark.
    fn mark(&self, owner: UserId, kind: Kind) -> EventSeq {
        self.slot(owner, kind).load(Ordering::Acquire)
    }

    /// How far the log was read.
    fn to(&self) -> Option<EventSeq> {
        Some(self.to.load(Ordering::Acquire)).filter(|to| *to != UNREAD)
    }

    /// Reads the log as far as the caller must be shown: to the sequence that it asks for, or to its end. What that has
    /// cost, as [`Cost::ledger`].
    async fn reach(&self, app: &App, headers: &ReadHeaders) -> Result<u64, Refusal> {
        match headers.min() {
            Some(min) => wait_for(app, min, Some(self)).await,
            None => Ok(self.read(app).await?),
        }
    }

    /// How far it is read, after another reading if that is not as far as `min`; and what that has cost.
    async fn look(&self, app: &App, min: EventSeq) -> Result<(EventSeq, u64), EngineError> {
        let cost = if self.to().is_none_or(|to| to < min) { self.read(app).await? } else { 0 };
        Ok((self.to().unwrap_or(0), cost))
    }

    /// Reads the log to its end. On return a reading is over that began after the call did. What it has cost: nothing, if
    /// it was another's.
    async fn read(&self, app: &App) -> Result<u64, EngineError> {
        let before = self.begun.load(Ordering::Acquire);
        let _turn = self.turn.lock().await;
        if self.ended.load(Ordering::Acquire) > before {
            return Ok(0);
        }
        let mut cost = 0;
        let this = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let mut to = match self.to() {
            Some(to) => to,
            // Nothing is kept yet, so what was before does not matter.
            None => {
                cost += 1;
                app.engine.last_event().await?
            }
        };
        loop {
            let page = app.engine.effects_after(to, CHUNK).await?;
            cost += u64::from(page.read);
            if page.reset {
                self.marks.iter().for_each(|mark| mark.store(page.cursor, Ordering::Release));
            }
            for (owner, kind, seq) in &page.changes {
                self.slot(*owner, *kind).fetch_max(*seq, Ordering::AcqRel);
            }
            to = page.cursor;
            self.to.store(to, Ordering::Release);
            if page.changes.len() < CHUNK {
                break;
            }
        }
        self.ended.store(this, Ordering::Release);
        Ok(cost)
    }
}

/// Waits until the ledger has what the caller must be shown; what that has cost, as [`Cost::ledger`].
pub(crate) async fn reach(app: &App, headers: &ReadHeaders) -> Result<u64, Refusal> {
    match headers.min() {
        Some(min) => wait_for(app, min, None).await,
        None => Ok(0),
    }
}

async fn wait_for(app: &App, min: EventSeq, log: Option<&Followed>) -> Result<u64, Refusal> {
    let mut cost = 0;
    let deadline = Instant::now() + WAIT;
    // Only if it has to wait: most have not.
    let mut wakeups = None;
    loop {
        let (last, asked) = match log {
            Some(log) => log.look(app, min).await?,
            None => (app.engine.last_event().await?, 1),
        };
        cost += asked;
        if last >= min {
            return Ok(cost);
        }
        let now = Instant::now();
        if now >= deadline || app.stop.is_cancelled() {
            let detail = format!("The ledger is at sequence {last}, and {min} was asked for.");
            return Err(Refusal::new(Code::Unavailable, detail));
        }
        match &wakeups {
            None => wakeups = Some(app.engine.wakeups(&EventFilter::default())),
            Some(wakeups) => drop(timeout_at(deadline.min(now + LOOK_AGAIN), wakeups.signal()).await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_stays_within_the_limit() {
        const LIMIT: u64 = 1 << 20;
        let answers = Cache::new(LIMIT).answers.unwrap();
        for number in 0..20_000_u64 {
            let question = Question {
                cache: "purchases",
                owner: UserId::new(),
                kind: Kind::new("purchase"),
                rest: "0-0 50 ".into(),
            };
            let answer = Answer { body: vec![b' '; usize::try_from(number % 3_000).unwrap()].into(), version: 1 };
            answers.insert((question, number), answer).await;
        }
        answers.run_pending_tasks().await;
        let kept: usize = answers.iter().map(|(key, answer)| key.0.rest.len() + answer.body.len() + OVERHEAD).sum();
        assert!(kept > 0 && kept as u64 <= LIMIT, "{kept}");
        assert_eq!(answers.weighted_size(), kept as u64);
    }

    #[test]
    fn a_cache_of_nothing_is_off() {
        assert!(Cache::new(0).answers.is_none());
    }
}
