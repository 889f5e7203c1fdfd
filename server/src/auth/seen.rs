//! Tasks as a caller may see them. An answer to a user, or an event, can only be made of a [`Seen`], and what is for operators
//! alone is not in it.

use card_core::tasks::{Attempt, Kind, Task, TaskPage};
use card_kinds::Registry;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;

/// A task that the caller may know of, with what the caller may know of it.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Seen(Task);

impl std::ops::Deref for Seen {
    type Target = Task;

    fn deref(&self) -> &Task {
        &self.0
    }
}

/// A page of tasks.
#[derive(Serialize)]
pub(crate) struct SeenPage {
    items: Vec<Seen>,
    next: Option<String>,
}

/// Attempts of a task.
#[derive(Serialize, ToSchema)]
pub(crate) struct Attempts {
    /// Those that ended, oldest first.
    items: Vec<Attempt>,
}

impl Caller {
    /// A task, if it is the caller's own or the caller is an operator. An owner is told the code of an error and our own
    /// sentence for it: the message may hold what an operator wrote of the owner, or somebody else's words.
    pub(crate) fn see(self, mut task: Task, kinds: &Registry) -> Option<Seen> {
        if let Self::User(user) = self {
            if task.owner != Some(user.id) {
                return None;
            }
            task.error = task.error.map(|error| kinds.error_for_owner(task.kind, &error));
        }
        Some(Seen(task))
    }

    /// A page, without what the caller may not know of.
    pub(crate) fn see_page(self, page: TaskPage, kinds: &Registry) -> SeenPage {
        let items = page.items.into_iter().filter_map(|task| self.see(task, kinds)).collect();
        SeenPage { items, next: page.next }
    }

    /// The attempts of a task, of a kind, that the caller sees.
    pub(crate) fn see_attempts(self, mut items: Vec<Attempt>, kind: Kind, kinds: &Registry) -> Attempts {
        if let Self::User(_) = self {
            for attempt in &mut items {
                attempt.error = attempt.error.take().map(|error| kinds.error_for_owner(kind, &error));
            }
        }
        Attempts { items }
    }
}
