//! Whether the platform kept its word: the sender's ledger against what the platform's ledger holds.
//!
//! The comparison is a pure function over pages; [`prove`] fetches them. An accepted id is sound when the platform
//! has it exactly once, in a final status that was announced once, with exactly the effects that the status means:
//! one for `succeeded`, none for `declined`, `dead` and `cancelled`.

mod prove;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use card_core::engine::EffectCount;
use card_core::ids::TaskId;
use card_core::tasks::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::prove::{Drain, Stage, prove};
use crate::ledger::Expectation;

/// A judgement in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// Could not find out, or what was found says nothing.
    #[default]
    Inconclusive,
}

/// The audit's figures. `accepted` = `succeeded` + `declined` + `dead` + `cancelled` + `lost` + `duplicate` + `stuck` +
/// `unverified`, except that a task beyond the accepted ones counts under `duplicate` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Correctness")]
pub struct Audit {
    /// What follows from them.
    pub verdict: Verdict,
    /// Answered with 202, by the sender's own ledger.
    pub accepted: u64,
    /// Sound and succeeded.
    pub succeeded: u64,
    /// Sound, and the issuer said no.
    pub declined: u64,
    /// Sound, and the platform gave up: a dead letter.
    pub dead: u64,
    /// Sound, and an operator called it off.
    #[serde(default)]
    pub cancelled: u64,
    /// Accepted, and gone.
    pub lost: u64,
    /// More than one outcome or effect, or a task that nobody asked for.
    pub duplicate: u64,
    /// Not final when the drain was over.
    pub stuck: u64,
    /// Reads that were held against what their user knew.
    #[serde(default)]
    pub reads: u64,
    /// Of these, answers that went back behind it. Beside the tasks: no part of the sum above.
    #[serde(default)]
    pub stale: u64,
    /// Could not find out.
    pub unverified: u64,
    /// Requests whose answer never came: no loss, but it is unknown whether they were accepted.
    pub unanswered: u64,
    /// From the last request to the last final status.
    pub drain_ms: u64,
    /// For how long it was watched after that.
    pub settle_ms: u64,
    /// How long reading and comparing took.
    pub audit_ms: u64,
    /// Some of the ids that are not sound, with the evidence.
    pub findings: Vec<Finding>,
    /// Why something could not be found out.
    pub unverified_reason: Option<String>,
}

impl Audit {
    /// How many ended as they should.
    #[must_use]
    pub const fn sound(&self) -> u64 {
        self.succeeded + self.declined + self.dead + self.cancelled
    }

    /// What is wrong, by its name: each of them breaks a promise.
    #[must_use]
    pub const fn wrong(&self) -> [(u64, &'static str); 4] {
        [(self.lost, "lost"), (self.duplicate, "duplicate"), (self.stuck, "stuck"), (self.stale, "stale")]
    }

    /// Judges it by its figures.
    pub fn judge(&mut self) {
        let wrong = self.wrong().iter().map(|(count, _)| count).sum();
        self.verdict = verdict(self.accepted + self.reads, wrong, self.unverified);
    }
}

/// One id that is not sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The task's id; of a stale read that misses no single task, its user's.
    pub task: String,
    /// `lost`, `duplicate`, `stuck` or `stale`.
    pub verdict: String,
    /// The evidence, in words.
    pub detail: String,
}

/// What can be wrong with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// See [`Audit::lost`].
    Lost,
    /// See [`Audit::duplicate`].
    Duplicate,
    /// See [`Audit::stuck`].
    Stuck,
}

impl Wrong {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicate => "duplicate",
            Self::Stuck => "stuck",
        }
    }
}

/// What follows from the figures of an audit: inconclusive if what was looked at is sound, and not all could be looked at or
/// there was nothing to look at.
#[must_use]
pub const fn verdict(looked_at: u64, wrong: u64, unverified: u64) -> Verdict {
    if wrong > 0 {
        Verdict::Fail
    } else if unverified > 0 || looked_at == 0 {
        // An audit of nothing proves nothing.
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// More ids than this are counted and not named: a report is for people.
const FINDINGS_LIMIT: usize = 100;

/// An audit in progress: takes the platform's pages one by one, so that it needs no memory for them.
///
/// `O` tells what the sender saw a task end as on the event stream.
pub struct Comparison<O> {
    accepted: HashMap<TaskId, Mark>,
    observed: O,
    repeated: HashMap<TaskId, u32>,
    extra: Vec<TaskId>,
    exclusive: bool,
    audit: Audit,
}

/// What is known of an accepted id.
struct Mark {
    /// Orders that it was the answer to.
    times: u32,
    /// A page had it.
    met: bool,
}

impl<O: Fn(TaskId) -> Option<Status>> Comparison<O> {
    /// Of what the sender's ledger expects, what the sender saw on the event stream, and how often it saw a task end
    /// again that had ended for good.
    #[must_use]
    pub fn new(expectation: Expectation, observed: O, repeated: HashMap<TaskId, u32>) -> Self {
        let Expectation { accepted, unanswered, exclusive } = expectation;
        let total = accepted.values().map(|times| u64::from(*times)).sum();
        let accepted = accepted.into_iter().map(|(task, times)| (task, Mark { times, met: false })).collect();
        let audit = Audit { accepted: total, unanswered, ..Audit::default() };
        Self { accepted, observed, repeated, extra: Vec::new(), exclusive, audit }
    }

    /// Takes a page of the platform's ledger.
    pub fn page(&mut self, items: &[EffectCount]) {
        for item in items {
            self.item(item);
        }
    }

    /// Ends the comparison. With `incomplete` (why not every page could be read) an id that no page had is
    /// unverified, not lost.
    #[must_use]
    pub fn finish(mut self, incomplete: Option<String>) -> Audit {
        let accepted = std::mem::take(&mut self.accepted);
        let missing = accepted.into_iter().filter(|(_, mark)| !mark.met);
        if let Some(reason) = incomplete {
            self.audit.unverified += missing.map(|(_, mark)| u64::from(mark.times)).sum::<u64>();
            self.audit.unverified_reason = Some(reason);
        } else {
            for (task, mark) in missing {
                for _ in 0..mark.times {
                    self.wrong(task, Wrong::Lost, "accepted, and the platform does not have it".to_owned());
                }
            }
        }
        // A task beyond the accepted ones is what a lost answer leaves; more of them than lost answers were not
        // asked for. A run that others share says nothing about whose they are.
        let unexplained = self.extra.len().saturating_sub(usize::try_from(self.audit.unanswered).unwrap_or(usize::MAX));
        if self.exclusive {
            for task in self.extra.split_off(self.extra.len() - unexplained) {
                self.wrong(task, Wrong::Duplicate, "a task that no order asked for".to_owned());
            }
        }
        self.audit.judge();
        self.audit
    }

    fn item(&mut self, item: &EffectCount) {
        let task = item.task;
        let times = match self.accepted.get_mut(&task) {
            Some(mark) if mark.met => {
                self.wrong(task, Wrong::Duplicate, "the platform has it twice".to_owned());
                return;
            }
            Some(mark) => {
                mark.met = true;
                mark.times
            }
            None => {
                self.extra.push(task);
                return;
            }
        };
        for _ in 1..times {
            self.wrong(task, Wrong::Lost, "one id was the answer to several orders".to_owned());
        }
        let repeated = self.repeated.get(&task).copied().unwrap_or(0);
        match fault(item, (self.observed)(task), repeated) {
            Some((wrong, detail)) => self.wrong(task, wrong, detail),
            None => {
                *match item.status {
                    Status::Succeeded => &mut self.audit.succeeded,
                    Status::Declined => &mut self.audit.declined,
                    Status::Cancelled => &mut self.audit.cancelled,
                    // What is not final is stuck, see `fault`.
                    Status::Dead | Status::Queued | Status::Running | Status::Retrying => &mut self.audit.dead,
                } += 1;
            }
        }
    }

    fn wrong(&mut self, task: TaskId, verdict: Wrong, detail: String) {
        *match verdict {
            Wrong::Lost => &mut self.audit.lost,
            Wrong::Duplicate => &mut self.audit.duplicate,
            Wrong::Stuck => &mut self.audit.stuck,
        } += 1;
        if self.audit.findings.len() < FINDINGS_LIMIT {
            let (task, verdict) = (task.to_string(), verdict.as_str().to_owned());
            self.audit.findings.push(Finding { task, verdict, detail });
        }
    }
}

/// What is wrong with a task that the platform has, if anything.
fn fault(item: &EffectCount, observed: Option<Status>, repeated: u32) -> Option<(Wrong, String)> {
    let EffectCount { status, effects, finals, .. } = *item;
    let due = u32::from(status == Status::Succeeded);
    if effects > due {
        return Some((Wrong::Duplicate, format!("{status} with {effects} effects instead of {due}")));
    }
    if finals > 1 {
        return Some((Wrong::Duplicate, format!("{finals} final statuses were announced")));
    }
    if repeated > 0 {
        return Some((Wrong::Duplicate, format!("its end was told {} times on the event stream", repeated + 1)));
    }
    // A dead task that an operator retried goes on; the other final statuses are for good.
    if let Some(seen @ (Status::Succeeded | Status::Declined | Status::Cancelled)) = observed
        && seen != status
    {
        return Some((Wrong::Duplicate, format!("{seen} on the event stream and {status} in the ledger")));
    }
    if !status.is_final() {
        return Some((Wrong::Stuck, format!("still {status}")));
    }
    if effects < due {
        return Some((Wrong::Lost, "succeeded without its effect".to_owned()));
    }
    if finals == 0 {
        return Some((Wrong::Lost, format!("{status} without an event that says so")));
    }
    None
}

/// A duration as the whole milliseconds of a report.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
