//! Stays until a set of objects is ready, can't become so, or the deadline passes; and says which, and why.
//!
//! It watches, from the first moment: the objects, their pods and claims, and the events of their namespaces. What each
//! object is at is [`state`](crate::state)'s affair, why it does not come up [`diagnose`](crate::diagnose)'s. Owned here:
//! the streams and their loss, time, and memory of what was before. It writes nothing.

mod clock;
mod gathered;
mod judge;
mod tails;
mod watching;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use self::clock::Pulse;
use self::gathered::Gathered;
use self::judge::Judge;
use self::tails::Tails;
use self::watching::{Change, Watches};
use crate::ObjectRef;
use crate::diagnose::{Finding, Recorded, Tolerate};
use crate::state::State;

/// How often ages are told anew, and time alone can make a verdict.
const TICK: Duration = Duration::from_millis(500);
/// Changes come in bunches: one look at all of them.
const BUNCH: Duration = Duration::from_millis(60);

/// An object that is waited for.
#[derive(Debug, Clone)]
pub struct Awaited {
    pub object: ObjectRef,
    /// What must be ready before it can be. While something of that is not, its crashes and failing probes are no verdict.
    /// What is not waited for itself is ignored.
    pub after: Vec<ObjectRef>,
}

impl Awaited {
    /// An object that needs nothing else.
    #[must_use]
    pub fn new(object: ObjectRef) -> Self {
        Self { object, after: Vec::new() }
    }

    /// With what must be ready before.
    #[must_use]
    pub fn after(self, after: impl IntoIterator<Item = ObjectRef>) -> Self {
        Self { after: after.into_iter().collect(), ..self }
    }
}

/// How to wait.
#[derive(Debug, Clone)]
pub struct WaitOptions {
    /// How long at most.
    pub deadline: Duration,
    /// When the change was applied, by this machine's clock. What the cluster says about before is not believed at once.
    /// None: now.
    pub applied: Option<Timestamp>,
    /// What may be the blip of a start.
    pub tolerate: Tolerate,
    /// How long a pod without a readiness probe must have been up: it is called ready before it can crash.
    pub settle: Duration,
    /// End at the first terminal finding, instead of at the deadline.
    pub fail_fast: bool,
    /// Ends the wait.
    pub cancel: CancellationToken,
}

impl WaitOptions {
    /// With this deadline, failing fast.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            applied: None,
            tolerate: Tolerate::default(),
            settle: Duration::from_secs(3),
            fail_fast: true,
            cancel: CancellationToken::new(),
        }
    }
}

/// All that is waited for, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Since the wait began.
    pub elapsed: Duration,
    /// In the order in which they were given.
    pub rows: Vec<Row>,
    /// Why the API server can't be reached, while it can't. What the rows say is then old.
    pub unreachable: Option<String>,
}

/// One object at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub object: ObjectRef,
    /// Where it is; with the counts of what is ready and wanted.
    pub state: State,
    /// How long it has been there: in this phase, for this reason.
    pub age: Duration,
    /// What it needs and is not ready yet.
    pub waits_for: Vec<ObjectRef>,
    /// The worst that is known to be wrong with it.
    pub finding: Option<Finding>,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// All are ready.
    Ready,
    /// Waiting longer will not help. The terminal findings come first; never empty.
    Failed {
        /// What is wrong.
        findings: Vec<Finding>,
    },
    /// The deadline passed. What is not ready is in the last snapshot's rows.
    TimedOut {
        /// What is known to be wrong with them; empty if they were only slow.
        findings: Vec<Finding>,
        /// Those that are not ready.
        missing: Vec<Row>,
    },
    /// The cluster could not be asked: it did not answer until the deadline, or refused to tell.
    Unreachable { message: String },
    /// The cancel token was used.
    Cancelled,
}

/// A verdict, with all that it is based on.
#[derive(Debug, Clone)]
pub struct Ending {
    /// How it ended.
    pub verdict: Verdict,
    /// The last look at all of them.
    pub last: Snapshot,
    /// What was read from the cluster, for a report of a failure.
    pub recorded: Recorded,
}

/// Waits. `on_snapshot` is called whenever something is different, and twice a second for the ages; it must not block.
pub async fn wait(
    client: &Client,
    awaited: &[Awaited],
    options: WaitOptions,
    mut on_snapshot: impl FnMut(&Snapshot),
) -> Ending {
    let begun = Instant::now();
    let deadline = begun + options.deadline;
    let (changes, mut incoming) = mpsc::unbounded_channel();
    let mut watches = Watches::start(client, awaited, changes.clone());
    let mut tails = Tails::new(client.clone(), changes.clone());
    let pulse = Pulse::start(client.clone(), changes);
    let mut gathered = Gathered::new(watches.plan());
    let mut judge = Judge::new(awaited, &options);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bunch: Option<Instant> = None;
    let verdict = loop {
        let look = bunch.unwrap_or(deadline);
        tokio::select! {
            biased;
            () = options.cancel.cancelled() => break Verdict::Cancelled,
            () = sleep_until(deadline) => break judge.late(&gathered),
            () = sleep_until(look), if bunch.is_some() => bunch = None,
            Some(change) = incoming.recv() => {
                if let Change::Refused(message) = &change {
                    break Verdict::Unreachable { message: message.clone() };
                }
                let was_lost = gathered.is_lost();
                gathered.take(change);
                if was_lost && !gathered.is_lost() {
                    // A stream over a connection that silently died would stay silent for half a minute.
                    watches.restart();
                }
                bunch.get_or_insert(Instant::now() + BUNCH);
                continue;
            }
            _ = tick.tick() => {}
        }
        let verdict = judge.look(&gathered, begun.elapsed());
        tails.fetch(judge.wanted_tails(), &mut gathered);
        on_snapshot(judge.snapshot());
        if let Some(verdict) = verdict {
            break verdict;
        }
    };
    drop(pulse);
    Ending { verdict, last: judge.snapshot().clone(), recorded: gathered.recorded() }
}
