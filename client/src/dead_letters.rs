//! Calls about dead letters (operator): list, group, retry, discard.

use std::collections::BTreeMap;
use std::time::Duration;

use card_core::ids::{RunId, TaskId};
use card_core::problem::Code;
use card_core::tasks::{Kind, Task, TaskPage};
use card_core::time::Instant;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Caller, Client, ClientError};

/// A call does what fits into 50 s; it can take longer by what is under way then.
const BULK_LIMIT: Duration = Duration::from_secs(90);

/// Which dead letters an operation means. Empty means all.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BulkFilter {
    /// Whose error matches this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// That died within this time, such as `1h`, or since a point in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// These, at most 1000, and no other condition. Not for listing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskId>,
}

/// How an operation goes about it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct BulkPace {
    /// How many a second, from 0.01 to 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// At most how many; newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only say which.
    pub dry_run: bool,
}

/// What an operation on dead letters did.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Bulk {
    /// Dead letters that the filter means.
    pub matched: u64,
    /// Of those, how many were dealt with; 0 in a dry run. A call does what fits into its time: call again for the rest.
    pub done: u64,
    /// Some of them.
    pub sample: Vec<Task>,
    /// Those that were tried or named and could not be dealt with.
    pub refused: Vec<Refused>,
}

/// A task that an operation could not deal with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Refused {
    pub task: TaskId,
    pub code: Code,
    /// With `replacement-open`: the task that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_task: Option<TaskId>,
}

/// Dead letters with one error.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct DeadLetterGroup {
    /// The error's code.
    pub code: String,
    pub count: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// When the first of them died.
    pub oldest: Instant,
    /// When the last of them died.
    pub newest: Instant,
    /// The one that died last.
    pub sample: TaskId,
    /// Its error's message.
    pub message: String,
}

/// Dead letters by error, the largest group first.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct DeadLetterGroups {
    /// The groups.
    pub items: Vec<DeadLetterGroup>,
    /// How many letters they are.
    pub total: u64,
    /// Where to go on counting, if there is more.
    pub next: Option<String>,
}

impl DeadLetterGroups {
    /// With what was counted after it.
    #[must_use]
    pub fn plus(mut self, more: Self) -> Self {
        for group in more.items {
            match self.items.iter_mut().find(|known| known.code == group.code) {
                Some(known) => known.absorb(group),
                None => self.items.push(group),
            }
        }
        self.items.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        Self { items: self.items, total: self.total + more.total, next: more.next }
    }
}

impl DeadLetterGroup {
    fn absorb(&mut self, other: Self) {
        self.count += other.count;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.oldest = self.oldest.min(other.oldest);
        if other.newest > self.newest {
            (self.newest, self.sample, self.message) = (other.newest, other.sample, other.message);
        }
    }
}

impl BulkFilter {
    fn parameters(&self, limit: Option<usize>, cursor: Option<&str>) -> Vec<(&'static str, String)> {
        let parameters = [
            ("error", self.error.clone()),
            ("since", self.since.clone()),
            ("kind", self.kind.map(|kind| kind.to_string())),
            ("run", self.run.as_ref().map(ToString::to_string)),
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    filter: &'a BulkFilter,
    #[serde(flatten)]
    pace: BulkPace,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Client {
    /// One page of dead letters, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn dead_letters(
        &self,
        filter: &BulkFilter,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<TaskPage, ClientError> {
        let parameters = filter.parameters(limit, cursor);
        self.fetch(self.request(Method::GET, "/api/v1/dead-letters", Caller::Operator)?.query(&parameters)).await
    }

    /// Dead letters by error, as many as the server counts in one call: with a `next`, call again and add up.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn dead_letter_groups(
        &self,
        filter: &BulkFilter,
        cursor: Option<&str>,
    ) -> Result<DeadLetterGroups, ClientError> {
        let parameters = filter.parameters(None, cursor);
        self.fetch(self.request(Method::GET, "/api/v1/dead-letters/groups", Caller::Operator)?.query(&parameters)).await
    }

    /// Queues dead letters again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn retry_dead(&self, filter: &BulkFilter, pace: BulkPace) -> Result<Bulk, ClientError> {
        self.bulk("/api/v1/dead-letters/retry", &Body { filter, pace, reason: None }).await
    }

    /// Takes dead letters off the list for good.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn discard_dead(&self, filter: &BulkFilter, reason: &str, pace: BulkPace) -> Result<Bulk, ClientError> {
        self.bulk("/api/v1/dead-letters/discard", &Body { filter, pace, reason: Some(reason) }).await
    }

    async fn bulk(&self, path: &str, body: &Body<'_>) -> Result<Bulk, ClientError> {
        let body: Value = serde_json::to_value(body).map_err(|error| self.protocol(error.to_string()))?;
        self.fetch(self.request(Method::POST, path, Caller::Operator)?.json(&body).timeout(BULK_LIMIT)).await
    }
}

#[cfg(test)]
mod tests {
    use card_kinds::add;

    use super::*;

    fn group(code: &str, count: u64, newest: i64) -> DeadLetterGroup {
        DeadLetterGroup {
            code: code.to_owned(),
            count,
            kinds: [(add::KIND, count)].into(),
            oldest: Instant::from_micros(newest - 5),
            newest: Instant::from_micros(newest),
            sample: TaskId::new(),
            message: newest.to_string(),
        }
    }

    #[test]
    fn groups_of_two_answers_add_up() {
        let first =
            DeadLetterGroups { items: vec![group("a", 3, 50), group("b", 2, 60)], total: 5, next: Some("7".into()) };
        let more = DeadLetterGroups { items: vec![group("b", 4, 40), group("c", 1, 9)], total: 5, next: None };
        let sample = first.items[1].sample;
        let sum = first.plus(more);
        assert_eq!((sum.total, sum.next), (10, None));
        let counts: Vec<_> = sum.items.iter().map(|group| (group.code.as_str(), group.count)).collect();
        assert_eq!(counts, [("b", 6), ("a", 3), ("c", 1)]);
        let b = &sum.items[0];
        assert_eq!((b.kinds[&add::KIND], b.oldest, b.newest), (6, Instant::from_micros(35), Instant::from_micros(60)));
        assert_eq!((b.sample, b.message.as_str()), (sample, "60"));
    }
}
