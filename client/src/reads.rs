//! Reads that are held against what their user knows: whether any answer goes back behind it (P10).
//!
//! A user knows what it was told (the end of a purchase) and what it was shown. Whatever it reads later must have both,
//! whichever server answers and from whichever cache: that is judged by [`Memory::judge`], a pure function, and any answer
//! that fails it is a stale read.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use card_core::engine::EventSeq;
use card_core::ids::{TaskId, UserId};
use serde::Deserialize;

use crate::audit::{Audit, Finding};
use crate::{Caller, Client, ClientError, Known, SyntheticUser, Versioned};

/// The latest ends that a user remembers. A page has more room than that.
const TOLD: usize = 20;
/// More stale reads than this are counted and not named: a report is for people.
const FINDINGS_LIMIT: usize = 100;

/// What a user looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The newest page of its purchases.
    Purchases,
    /// What they come to.
    Summary,
    /// Its cards.
    Cards,
}

impl View {
    const fn path(self) -> &'static str {
        match self {
            Self::Purchases => "/api/v1/purchases",
            Self::Summary => "/api/v1/purchases/summary",
            Self::Cards => "/api/v1/cards",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Purchases => "the purchases",
            Self::Summary => "the summary",
            Self::Cards => "the cards",
        }
    }
}

/// What an answer shows, as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The tasks behind its items, newest first.
    pub tasks: Vec<TaskId>,
    /// There are older ones than these.
    pub more: bool,
    /// How many there are, if it says.
    pub count: Option<u64>,
}

/// What a read is asked with.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `If-None-Match`.
    pub tag: Option<String>,
    /// `x-min-sequence`.
    pub min: Option<u64>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    items: Vec<Item>,
    next: Option<String>,
    count: Option<u64>,
}

#[derive(Deserialize)]
struct Item {
    task: TaskId,
}

impl Client {
    /// Reads what a user looks at.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn read(&self, view: View, asked: &Asked, caller: Caller<'_>) -> Result<Versioned<Shown>, ClientError> {
        let known = Known { min_sequence: asked.min, tag: asked.tag.as_deref() };
        let Versioned { value, tag, sequence, cost } = self.versioned::<Body>(view.path(), &[], known, caller).await?;
        let value = value.map(|body| {
            let tasks = body.items.into_iter().map(|item| item.task).collect();
            Shown { tasks, more: body.next.is_some(), count: body.count }
        });
        Ok(Versioned { value, tag, sequence, cost })
    }
}

/// A read that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// What was missing, if it is one thing.
    pub task: Option<TaskId>,
    /// The evidence, in words.
    pub detail: String,
}

/// What one user knows.
#[derive(Debug, Default)]
pub struct Memory {
    told: VecDeque<TaskId>,
    /// Of the latest that it was told; none if it does not know: then it asks for the state of now.
    sequence: Option<EventSeq>,
    count: u64,
    seen: HashMap<View, Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    tag: String,
    sequence: u64,
    shown: Shown,
}

impl Memory {
    /// A purchase of this user has succeeded, and the user was told so by the event at this place in the log.
    pub fn told(&mut self, task: TaskId, sequence: Option<EventSeq>) {
        self.sequence = sequence.map(|sequence| self.sequence.unwrap_or(0).max(sequence));
        self.told.push_back(task);
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }

    /// How a user that keeps what it saw asks again.
    #[must_use]
    pub fn asks(&self, view: View) -> Asked {
        let seen = self.seen.get(&view);
        let shown = seen.map_or(0, |seen| seen.sequence);
        let nothing = self.told.is_empty();
        let min = self.sequence.or(nothing.then_some(0)).map(|told| told.max(shown));
        Asked { tag: seen.map(|seen| seen.tag.clone()), min }
    }

    /// Whether an answer goes back behind what the user knows; from then on the user knows it as well.
    ///
    /// # Errors
    /// It does.
    pub fn judge(&mut self, view: View, asked: &Asked, reading: Versioned<Shown>) -> Result<(), Stale> {
        let what = view.name();
        let stale = |task, detail: String| Err(Stale { task, detail: format!("{what}: {detail}") });
        let Versioned { value, tag, sequence, .. } = reading;
        let before = self.seen.get(&view);
        let shown = match value {
            Some(shown) => shown,
            None if asked.tag.as_ref() != Some(&tag) => {
                return stale(None, format!("304 with the tag {tag}, and {:?} was asked for", asked.tag));
            }
            // What the user has is what it is shown.
            None => before.map(|seen| seen.shown.clone()).unwrap_or_default(),
        };
        if let Some(before) = before {
            if sequence < before.sequence {
                return stale(None, format!("sequence {sequence} after {}", before.sequence));
            }
            if sequence == before.sequence && tag != before.tag {
                return stale(None, format!("the tags {} and {tag} for sequence {sequence}", before.tag));
            }
            if tag == before.tag && shown != before.shown {
                return stale(None, format!("two contents under the tag {tag}"));
            }
            let gone = before.shown.tasks.iter().take(TOLD).find(|task| !shown.tasks.contains(task));
            if let Some(task) = gone {
                return stale(Some(*task), "it was shown before, and is not any more".to_owned());
            }
        }
        if view == View::Purchases
            && let Some(task) = self.told.iter().find(|task| !shown.tasks.contains(task))
        {
            return stale(Some(*task), format!("it succeeded before this was asked, and is not there (tag {tag})"));
        }
        let whole = shown.tasks.len() as u64;
        let count = shown.count.or_else(|| (view == View::Purchases && !shown.more).then_some(whole));
        if let Some(count) = count {
            if count < self.count {
                return stale(None, format!("{count} purchases after {}", self.count));
            }
            self.count = count;
        }
        self.seen.insert(view, Seen { tag, sequence, shown });
        Ok(())
    }
}

/// What all users of a load know, and what they found.
#[derive(Debug, Default)]
pub struct Reads {
    memories: Mutex<HashMap<UserId, Memory>>,
    compared: AtomicU64,
    stale: AtomicU64,
    findings: Mutex<Vec<Finding>>,
}

impl Reads {
    /// A purchase of a user has succeeded, and the user was told so by the event at this place in the log.
    pub fn told(&self, user: &SyntheticUser, task: TaskId, sequence: Option<EventSeq>) {
        self.memories().entry(user.id).or_default().told(task, sequence);
    }

    /// How a user that keeps what it saw asks again.
    #[must_use]
    pub fn asks(&self, user: &SyntheticUser, view: View) -> Asked {
        self.memories().get(&user.id).map(|memory| memory.asks(view)).unwrap_or_default()
    }

    /// Holds an answer against what its user knows. A user reads one thing after the other.
    pub fn compare(&self, user: &SyntheticUser, view: View, asked: &Asked, reading: Versioned<Shown>) {
        self.compared.fetch_add(1, Ordering::Relaxed);
        let judged = self.memories().entry(user.id).or_default().judge(view, asked, reading);
        let Err(Stale { task, detail }) = judged else { return };
        self.stale.fetch_add(1, Ordering::Relaxed);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < FINDINGS_LIMIT {
            let task = task.map_or_else(|| user.id.to_string(), |task| task.to_string());
            findings.push(Finding { task, verdict: "stale".to_owned(), detail });
        }
    }

    /// Adds what was found to an audit.
    pub fn add_to(&self, audit: &mut Audit) {
        audit.reads += self.compared.load(Ordering::Relaxed);
        audit.stale += self.stale.load(Ordering::Relaxed);
        audit.findings.extend(self.findings.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        audit.judge();
    }

    // Nothing that runs under this lock can panic half-way through a change.
    fn memories(&self) -> MutexGuard<'_, HashMap<UserId, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadCost;

    fn versioned(tag: &str, sequence: u64, value: Option<Shown>) -> Versioned<Shown> {
        Versioned { tag: tag.into(), sequence, value, cost: ReadCost::default() }
    }

    fn page(tag: &str, sequence: u64, tasks: &[TaskId]) -> Versioned<Shown> {
        versioned(tag, sequence, Some(Shown { tasks: tasks.to_vec(), ..Shown::default() }))
    }

    fn unchanged(tag: &str, sequence: u64) -> Versioned<Shown> {
        versioned(tag, sequence, None)
    }

    fn summary(tag: &str, sequence: u64, count: u64) -> Versioned<Shown> {
        versioned(tag, sequence, Some(Shown { count: Some(count), ..Shown::default() }))
    }

    /// A user who has bought one thing, was told so, and has seen it.
    fn memory(task: TaskId) -> Memory {
        let mut memory = Memory::default();
        memory.told(task, Some(2));
        memory.judge(View::Purchases, &Asked::default(), page("a", 2, &[task])).unwrap();
        memory
    }

    fn refused(memory: &mut Memory, view: View, reading: Versioned<Shown>) -> Stale {
        let asked = memory.asks(view);
        memory.judge(view, &asked, reading).unwrap_err()
    }

    #[test]
    fn answers_that_go_on_are_sound() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut memory = memory(one);
        let asked = memory.asks(View::Purchases);
        assert_eq!((asked.tag.as_deref(), asked.min), (Some("a"), Some(2)));
        memory.judge(View::Purchases, &asked, unchanged("a", 2)).unwrap();
        memory.judge(View::Summary, &Asked::default(), summary("a", 2, 1)).unwrap();
        memory.told(two, Some(5));
        assert_eq!(memory.asks(View::Purchases).min, Some(5), "as new as what it was told");
        memory.judge(View::Purchases, &asked, page("b", 5, &[two, one])).unwrap();
        memory.judge(View::Summary, &Asked::default(), summary("b", 5, 2)).unwrap();
        memory.judge(View::Cards, &Asked::default(), page("c", 0, &[])).unwrap();
    }

    /// What a cache does that keeps an entry past its invalidation.
    #[test]
    fn an_acknowledged_purchase_that_is_missing_is_stale() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut memory = memory(one);
        memory.told(two, Some(5));
        let stale = refused(&mut memory, View::Purchases, page("a", 2, &[one]));
        assert_eq!(stale.task, Some(two));
    }

    #[test]
    fn a_304_for_what_has_changed_is_stale() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut memory = memory(one);
        memory.told(two, Some(5));
        assert_eq!(refused(&mut memory, View::Purchases, unchanged("a", 2)).task, Some(two));
        let mut memory = self::memory(one);
        assert!(refused(&mut memory, View::Purchases, unchanged("other", 2)).detail.contains("304"));
    }

    /// What a server does that answers from an old snapshot.
    #[test]
    fn what_was_shown_and_is_gone_is_stale() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut memory = memory(one);
        memory.judge(View::Purchases, &Asked::default(), page("b", 5, &[two, one])).unwrap();
        assert!(refused(&mut memory, View::Purchases, page("a", 2, &[one])).detail.contains("sequence 2 after 5"));
        assert_eq!(refused(&mut memory, View::Purchases, page("d", 6, &[one])).task, Some(two));
        memory.judge(View::Summary, &Asked::default(), summary("b", 5, 2)).unwrap();
        assert!(refused(&mut memory, View::Summary, summary("e", 7, 1)).detail.contains("1 purchases after 2"));
    }

    #[test]
    fn a_tag_stands_for_one_content_on_every_server() {
        let one = TaskId::new();
        let mut memory = memory(one);
        assert!(refused(&mut memory, View::Purchases, page("other", 2, &[one])).detail.contains("tags"));
        assert!(
            refused(&mut memory, View::Purchases, page("a", 3, &[TaskId::new(), one])).detail.contains("two contents")
        );
    }
}
