//! Dead letters by error: what went wrong, how often, since when.

use std::collections::{BTreeMap, HashMap};

use card_core::ids::TaskId;
use card_core::tasks::{Kind, Task};
use card_core::time::Instant;
use serde::Serialize;
use utoipa::ToSchema;

/// Dead letters with one error.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Group {
    /// The error's code, such as `issuer-unavailable`.
    code: String,
    /// How many.
    count: u64,
    /// How many of each kind.
    kinds: BTreeMap<Kind, u64>,
    /// When the first of them died.
    oldest: Instant,
    /// When the last of them died.
    newest: Instant,
    /// The one that died last.
    sample: TaskId,
    /// Its error's message; those of the others can differ.
    message: String,
}

/// Groups, largest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Groups {
    /// The groups of the dead letters that were looked at.
    pub(super) items: Vec<Group>,
    /// How many those are.
    pub(super) total: u64,
    /// There are more dead letters: pass it as `cursor` and add up. None if these are all.
    pub(super) next: Option<String>,
}

/// Groups that are being counted.
#[derive(Debug, Default)]
pub(super) struct Count {
    total: u64,
    by_code: HashMap<String, Group>,
}

impl Count {
    pub(super) fn add(&mut self, task: Task) {
        let died = task.settled_at.unwrap_or(task.accepted_at);
        // A dead task has an error; should a ledger have lost it, the letter must still be counted.
        let (code, message) = task.error.map_or_else(|| ("unknown".to_owned(), String::new()), |e| (e.code, e.message));
        self.total += 1;
        let group = self.by_code.entry(code).or_insert_with_key(|code| Group {
            code: code.clone(),
            count: 0,
            kinds: BTreeMap::new(),
            oldest: died,
            newest: died,
            sample: task.id,
            message: message.clone(),
        });
        group.count += 1;
        *group.kinds.entry(task.kind).or_default() += 1;
        group.oldest = group.oldest.min(died);
        if died > group.newest {
            (group.newest, group.sample, group.message) = (died, task.id, message);
        }
    }

    pub(super) fn finish(self, next: Option<String>) -> Groups {
        let mut items: Vec<Group> = self.by_code.into_values().collect();
        items.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        Groups { items, total: self.total, next }
    }
}

#[cfg(test)]
mod tests {
    use card_core::tasks::{Priority, Status, TaskError};
    use card_kinds::{add, replacement};

    use super::*;

    fn dead(code: &str, kind: Kind, died: i64) -> Task {
        Task {
            id: TaskId::new(),
            kind,
            owner: None,
            run: None,
            status: Status::Dead,
            attempts: 5,
            priority: Priority::Normal,
            accepted_at: Instant::from_micros(0),
            due_at: None,
            started_at: None,
            settled_at: Some(Instant::from_micros(died)),
            result: None,
            error: Some(TaskError { code: code.to_owned(), message: format!("at {died}") }),
        }
    }

    #[test]
    fn a_group_has_its_count_its_span_and_its_latest() {
        let tasks = [
            dead("a", add::KIND, 5),
            dead("b", replacement::KIND, 9),
            dead("b", replacement::KIND, 3),
            dead("b", add::KIND, 12),
            dead("c", add::KIND, 1),
        ];
        let latest = tasks[3].id;
        let mut count = Count::default();
        tasks.into_iter().for_each(|task| count.add(task));
        let Groups { items, total, next } = count.finish(None);
        assert_eq!((total, next), (5, None));
        assert_eq!(items.iter().map(|group| group.code.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
        let expected = Group {
            code: "b".into(),
            count: 3,
            kinds: [(replacement::KIND, 2), (add::KIND, 1)].into(),
            oldest: Instant::from_micros(3),
            newest: Instant::from_micros(12),
            sample: latest,
            message: "at 12".into(),
        };
        assert_eq!(items[0], expected);
    }

    #[test]
    fn a_letter_without_an_error_is_counted_too() {
        let mut count = Count::default();
        count.add(Task { error: None, settled_at: None, ..dead("", add::KIND, 1) });
        assert_eq!(count.finish(None).items[0].code, "unknown");
    }
}
