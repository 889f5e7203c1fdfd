//! Who is there and how each is: what keepers write down, and what status, scaling and the record read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_core::process::Part;
use card_core::time::Instant;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::instance::{Process, Recorded};

/// How a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It has not said yet that it is ready.
    Starting,
    /// It is ready.
    Up,
    /// It died and is started again in a moment.
    Waiting,
    /// It finishes what it has and ends.
    Draining,
}

/// One child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// `worker-2`.
    pub name: String,
    pub part: Part,
    /// How it is.
    pub condition: Condition,
    /// Its process, while it has one.
    pub process: Option<Process>,
    /// Where it listens: a server's API, a worker's health.
    pub address: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last.
    pub last_exit: Option<String>,
    /// Since when it is so.
    pub since: Instant,
}

/// All children, the oldest first.
#[derive(Debug)]
pub(super) struct Roster {
    slots: Mutex<Vec<Slot>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Slot {
    child: Child,
    stop: CancellationToken,
}

impl Child {
    /// How it is, for people.
    #[must_use]
    pub fn words(&self) -> String {
        let last = self.last_exit.as_deref().map(|how| format!(", last: {how}")).unwrap_or_default();
        format!("{} is {}{last}", self.name, self.condition.name())
    }

    /// As `instance.json` keeps it; none if it has no process.
    pub(super) fn recorded(&self) -> Option<Recorded> {
        Some(Recorded { name: self.name.clone(), process: self.process? })
    }
}

impl Condition {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Draining => "draining",
        }
    }
}

impl Roster {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { slots: Mutex::new(Vec::new()), changes: watch::Sender::new(0) })
    }

    /// Tells of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn children(&self) -> Vec<Child> {
        self.slots().iter().map(|slot| slot.child.clone()).collect()
    }

    /// Those that are meant to stay, the oldest first.
    pub(super) fn staying(&self, part: Part) -> Vec<Child> {
        let staying = |slot: &&Slot| slot.child.part == part && !slot.stop.is_cancelled();
        self.slots().iter().filter(staying).map(|slot| slot.child.clone()).collect()
    }

    /// Writes a new one down, under the lowest number that is free. Its name, and what tells it to stop.
    pub(super) fn add(&self, part: Part) -> (String, CancellationToken) {
        let stop = CancellationToken::new();
        let mut slots = self.slots();
        let is_free = |name: &String| slots.iter().all(|slot| slot.child.name != *name);
        let name = match part {
            Part::Issuer => part.as_str().to_owned(),
            Part::Server | Part::Worker => {
                (1_u32..).map(|number| format!("{}-{number}", part.as_str())).find(is_free).unwrap_or_default()
            }
        };
        let child = Child {
            name: name.clone(),
            part,
            condition: Condition::Starting,
            process: None,
            address: None,
            restarts: 0,
            last_exit: None,
            since: Instant::now(),
        };
        slots.push(Slot { child, stop: stop.clone() });
        drop(slots);
        self.changed();
        (name, stop)
    }

    /// Tells the youngest of a part to stop until so many are left.
    pub(super) fn dismiss(&self, part: Part, keep: usize) {
        let slots = self.slots();
        let staying = slots.iter().filter(|slot| slot.child.part == part && !slot.stop.is_cancelled());
        staying.skip(keep).for_each(|slot| slot.stop.cancel());
    }

    /// Changes what is known of a child.
    pub(super) fn update(&self, name: &str, change: impl FnOnce(&mut Child)) {
        if let Some(slot) = self.slots().iter_mut().find(|slot| slot.child.name == name) {
            let before = slot.child.condition;
            change(&mut slot.child);
            if slot.child.condition != before {
                slot.child.since = Instant::now();
            }
        }
        self.changed();
    }

    pub(super) fn remove(&self, name: &str) {
        self.slots().retain(|slot| slot.child.name != name);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        // Every change is whole when the lock is let go.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_go_first_and_free_their_names_when_they_are_gone() {
        let roster = Roster::new();
        let names: Vec<_> = (0..3).map(|_| roster.add(Part::Worker).0).collect();
        assert_eq!(names, ["worker-1", "worker-2", "worker-3"]);
        roster.add(Part::Server);
        roster.dismiss(Part::Worker, 2);
        let staying = |roster: &Roster| -> Vec<String> {
            roster.staying(Part::Worker).into_iter().map(|child| child.name).collect()
        };
        assert_eq!(staying(&roster), ["worker-1", "worker-2"]);
        assert_eq!(roster.add(Part::Worker).0, "worker-4", "worker-3 still drains");
        roster.remove("worker-3");
        assert_eq!(roster.add(Part::Worker).0, "worker-3");
        roster.dismiss(Part::Worker, 3);
        assert_eq!(staying(&roster), ["worker-1", "worker-2", "worker-4"], "by age, not by name");
    }
}
