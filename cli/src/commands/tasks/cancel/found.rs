//! The tasks that an operator means: found before the first is changed.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use card_core::ids::TaskId;
use card_core::problem::Code;
use card_core::tasks::{Status, Task};
use card_core::time::Instant;
use serde::Serialize;

use crate::client::{Client, TaskQuery};
use crate::commands::tasks::named::named;
use crate::context::Context;
use crate::failure::Failure;

const PAGE: u64 = 1000;
/// Shown, of however many.
const SAMPLE: usize = 10;
/// Tasks that were accepted close together may stand in another order.
const GRAIN: Duration = Duration::from_secs(60);
/// As a task goes. One that goes on while this is read is met at another place, or at the same one again: what runs is
/// looked at once more after what waits for another attempt.
const OPEN: [Status; 4] = [Status::Queued, Status::Running, Status::Retrying, Status::Running];

/// A task that can't be cancelled.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Refused {
    pub(super) task: TaskId,
    pub(super) code: Code,
    /// With `task-final`: how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
}

/// A million of them must fit into memory, so only what is needed of each is kept.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order in which they were found.
    pub(super) tasks: Vec<TaskId>,
    /// How many are in which status.
    pub(super) statuses: BTreeMap<&'static str, u64>,
    /// Some of them.
    pub(super) sample: Vec<Task>,
    /// Tasks that were named and are final.
    pub(super) refused: Vec<Refused>,
}

impl Found {
    /// Those that a filter means and that are not final.
    ///
    /// # Errors
    /// The platform does not answer, or the command was interrupted.
    pub(super) async fn matching(
        context: &Context,
        client: &Client,
        mut query: TaskQuery,
        since: Option<Instant>,
        limit: Option<u64>,
    ) -> Result<Self, Failure> {
        let mut found = Self::default();
        let mut known = HashSet::new();
        let statuses = query.status.map_or_else(|| OPEN.to_vec(), |status| vec![status]);
        for status in statuses {
            query.status = Some(status);
            let mut cursor = None::<String>;
            loop {
                let room = limit.map_or(PAGE, |limit| limit.saturating_sub(found.tasks.len() as u64).min(PAGE));
                if room == 0 {
                    return Ok(found);
                }
                query.limit = usize::try_from(room).ok();
                let page = tokio::select! {
                    page = client.tasks(&query, cursor.as_deref()) => page?,
                    () = context.stop.cancelled() => return Err(context.interruption().left("nothing was changed")),
                };
                let is_past = |task: &Task| since.is_some_and(|since| task.accepted_at.plus(GRAIN) < since);
                let rest_is_past = page.items.last().is_some_and(is_past);
                for task in page.items {
                    if since.is_none_or(|since| task.accepted_at >= since) && known.insert(task.id) {
                        found.add(task);
                    }
                }
                cursor = page.next;
                if cursor.is_none() || rest_is_past {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Those that are named, in this order. One that is cancelled already is as good as one that is open.
    ///
    /// # Errors
    /// There is no such task, the platform does not answer, or the command was interrupted.
    pub(super) async fn named(context: &Context, client: &Client, names: &[TaskId]) -> Result<Self, Failure> {
        let mut found = Self::default();
        for task in named(context, client, names).await? {
            if task.status.is_final() && task.status != Status::Cancelled {
                found.refused.push(Refused { task: task.id, code: Code::TaskFinal, status: Some(task.status) });
            } else {
                found.add(task);
            }
        }
        Ok(found)
    }

    fn add(&mut self, task: Task) {
        self.tasks.push(task.id);
        *self.statuses.entry(task.status.as_str()).or_default() += 1;
        if self.sample.len() < SAMPLE {
            self.sample.push(task);
        }
    }
}
