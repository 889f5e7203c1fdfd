//! From what was gathered to rows and a verdict. Time is an argument, and what was before is remembered here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::gathered::Gathered;
use super::tails::Wanted;
use super::{Awaited, Row, Snapshot, Verdict, WaitOptions};
use crate::ObjectRef;
use crate::diagnose::{Circumstances, Finding, Recorded, diagnose};
use crate::state::{Phase, State, is_settled_at_once};

/// So long a verdict waits for the log that may change it.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

/// What is remembered of one object.
#[derive(Default)]
struct Memory {
    /// Since when it is in this phase for this reason, as time since the wait began.
    at: Option<(Phase, String, Duration)>,
    needs_met: Option<Timestamp>,
    waited: bool,
    crashes_before: Option<BTreeMap<String, u32>>,
    seen: bool,
    /// How often its pods have ended so far.
    crashes: u32,
    /// Whether they have while it was waited for.
    restless: bool,
}

pub(super) struct Judge {
    awaited: Vec<Awaited>,
    options: WaitOptions,
    applied: Timestamp,
    memories: Vec<Memory>,
    snapshot: Snapshot,
    findings: Vec<Finding>,
    wanted: Vec<Wanted>,
    /// When each log was first wanted.
    asked: BTreeMap<String, Duration>,
}

impl Judge {
    pub(super) fn new(awaited: &[Awaited], options: &WaitOptions) -> Self {
        let rows = awaited.iter().map(|one| Row {
            object: one.object.clone(),
            state: State::unknown(),
            age: Duration::ZERO,
            waits_for: Vec::new(),
            finding: None,
        });
        Self {
            awaited: awaited.to_vec(),
            options: options.clone(),
            applied: options.applied.unwrap_or_else(Timestamp::now),
            memories: awaited.iter().map(|_| Memory::default()).collect(),
            snapshot: Snapshot { elapsed: Duration::ZERO, rows: rows.collect(), unreachable: None },
            findings: Vec::new(),
            wanted: Vec::new(),
            asked: BTreeMap::new(),
        }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn wanted_tails(&self) -> &[Wanted] {
        &self.wanted
    }

    /// Looks at all of it. A verdict where there is one.
    pub(super) fn look(&mut self, gathered: &Gathered, elapsed: Duration) -> Option<Verdict> {
        self.snapshot.elapsed = elapsed;
        self.snapshot.unreachable = gathered.lost().cloned();
        // Before everything was listed, what is not here may be there; while nothing answers, all of it is old.
        if !gathered.is_complete() || gathered.is_lost() {
            return None;
        }
        let now = gathered.cluster_time(Timestamp::now());
        // The cluster writes whole seconds.
        let began = Timestamp::from_second(gathered.cluster_time(self.applied).as_second()).unwrap_or(now);
        let recorded = gathered.recorded();
        let states: Vec<State> = self.awaited.iter().map(|one| state(gathered, one)).collect();
        let crashes = crashes(&recorded, None);
        let crashes_of_before = crashes_of_before(&recorded, began);
        self.findings.clear();
        self.wanted.clear();
        for index in 0..self.awaited.len() {
            let state = &states[index];
            let waits_for = self.waits_for(index, &states);
            let memory = &mut self.memories[index];
            let ended = ended(&recorded, &self.awaited[index].object, &crashes);
            memory.note(state, ended, elapsed);
            memory.seen |= state.phase != Phase::Missing;
            memory.count(&waits_for, now, &crashes, &crashes_of_before);
            let mut findings = if state.is_ready() {
                Vec::new()
            } else {
                let circumstances = Circumstances {
                    now,
                    began: Some(began),
                    waits_for: waits_for.clone(),
                    needs_met: memory.needs_met,
                    crashes_before: memory.crashes_before.clone().unwrap_or_default(),
                    tolerate: self.options.tolerate.clone(),
                };
                diagnose(&recorded, &self.awaited[index].object, &circumstances)
            };
            for finding in &mut findings {
                if let Some(wanted) = wanted(&recorded, finding, elapsed) {
                    let asked = *self.asked.entry(wanted.key.clone()).or_insert(elapsed);
                    finding.terminal &= gathered.has_tail(&wanted.key) || elapsed >= asked + LOG_PATIENCE;
                    self.wanted.push(wanted);
                }
                // What was never there is not gone: its kind may not be served yet.
                finding.terminal &= state.phase != Phase::Missing || memory.seen || elapsed >= LOG_PATIENCE;
            }
            let since = memory.at.as_ref().map_or(elapsed, |(_, _, since)| *since);
            self.snapshot.rows[index] = Row {
                object: self.awaited[index].object.clone(),
                state: state.clone(),
                age: elapsed.saturating_sub(since),
                waits_for,
                finding: findings.first().cloned(),
            };
            self.findings.append(&mut findings);
        }
        self.verdict(gathered, elapsed)
    }

    fn verdict(&mut self, gathered: &Gathered, elapsed: Duration) -> Option<Verdict> {
        if self.options.fail_fast && self.findings.iter().any(|finding| finding.terminal) {
            self.findings.sort_by_key(|finding| !finding.terminal);
            return Some(Verdict::Failed { findings: self.findings.clone() });
        }
        let settled = self.snapshot.rows.iter().zip(&self.memories).all(|(row, memory)| {
            let since = memory.at.as_ref().map_or(elapsed, |(_, _, since)| *since);
            let settle = if memory.restless || needs_settling(gathered.get(&row.object)) {
                self.options.settle
            } else {
                Duration::ZERO
            };
            row.state.is_ready() && elapsed >= since + settle
        });
        settled.then_some(Verdict::Ready)
    }

    /// The verdict at the deadline.
    pub(super) fn late(&self, gathered: &Gathered) -> Verdict {
        if let Some(why) = gathered.lost() {
            return Verdict::Unreachable { message: why.clone() };
        }
        if !gathered.is_complete() {
            return Verdict::Unreachable { message: "not everything that is needed could be listed".to_owned() };
        }
        if self.findings.iter().any(|finding| finding.terminal) {
            return Verdict::Failed { findings: self.findings.clone() };
        }
        let missing = self.snapshot.rows.iter().filter(|row| !row.state.is_ready()).cloned().collect();
        Verdict::TimedOut { findings: self.findings.clone(), missing }
    }

    fn waits_for(&self, index: usize, states: &[State]) -> Vec<ObjectRef> {
        let is_open = |needed: &&ObjectRef| {
            let at = self.awaited.iter().position(|one| one.object == **needed);
            at.is_some_and(|at| at != index && !states[at].is_ready())
        };
        self.awaited[index].after.iter().filter(is_open).cloned().collect()
    }
}

impl Memory {
    /// A pod without a readiness probe that crashes and is started again may never be called unready.
    fn note(&mut self, state: &State, crashes: u32, elapsed: Duration) {
        let crashed = self.at.is_some() && crashes > self.crashes;
        (self.crashes, self.restless) = (crashes, self.restless || crashed);
        let same = !crashed
            && self.at.as_ref().is_some_and(|(phase, reason, _)| (*phase, reason) == (state.phase, &state.reason));
        if !same {
            self.at = Some((state.phase, state.reason.clone(), elapsed));
        }
    }

    /// Crashes are counted from when all that is needed is there; without needs, from the change.
    fn count(
        &mut self,
        waits_for: &[ObjectRef],
        now: Timestamp,
        crashes: &BTreeMap<String, u32>,
        of_before: &BTreeMap<String, u32>,
    ) {
        if !waits_for.is_empty() {
            (self.waited, self.needs_met) = (true, None);
            self.crashes_before = Some(crashes.clone());
        } else if self.waited && self.needs_met.is_none() {
            self.needs_met = Some(now);
            self.crashes_before = Some(crashes.clone());
        } else if self.crashes_before.is_none() {
            self.crashes_before = Some(of_before.clone());
        }
    }
}

fn state(gathered: &Gathered, awaited: &Awaited) -> State {
    if is_settled_at_once(&awaited.object.group, &awaited.object.kind) {
        return State::exists();
    }
    gathered.get(&awaited.object).map_or_else(State::missing, |object| State::of(object))
}

/// A pod without a readiness probe is called ready as soon as it runs.
fn needs_settling(object: Option<&Arc<Value>>) -> bool {
    let containers = object.and_then(|object| object["spec"]["template"]["spec"]["containers"].as_array());
    let job = object.is_some_and(|object| object["kind"] == "Job");
    !job && containers.is_some_and(|all| all.iter().any(|container| container["readinessProbe"].is_null()))
}

/// How often each container has ended, by `pod uid/container`; those whose last end was before a moment, if it is given.
fn crashes(recorded: &Recorded, before: Option<Timestamp>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for pod in recorded.objects.iter().filter(|object| object["kind"] == "Pod") {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let lists = ["initContainerStatuses", "containerStatuses"].into_iter().map(|key| &pod["status"][key]);
        for status in lists.filter_map(Value::as_array).flatten() {
            let now = &status["state"]["terminated"];
            let ended = if now.is_null() { &status["lastState"]["terminated"] } else { now };
            let at: Option<Timestamp> = ended["finishedAt"].as_str().and_then(|at| at.parse().ok());
            if before.is_some_and(|before| at.is_none_or(|at| at >= before)) {
                continue;
            }
            let restarts = status["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
            let running = !status["state"]["running"].is_null();
            let count = if running || ended.is_null() { restarts } else { restarts.saturating_add(1) };
            counts.insert(format!("{uid}/{}", status["name"].as_str().unwrap_or_default()), count);
        }
    }
    counts
}

/// How often the containers of the newest pods of a workload have ended.
fn ended(recorded: &Recorded, object: &ObjectRef, crashes: &BTreeMap<String, u32>) -> u32 {
    let Some(value) = recorded.get(object) else { return 0 };
    let of_pod = |pod: &Value| -> u32 {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        crashes.range(format!("{uid}/")..format!("{uid}0")).map(|(_, count)| count).sum()
    };
    recorded.pods_of(object, value).into_iter().map(of_pod).sum()
}

fn crashes_of_before(recorded: &Recorded, began: Timestamp) -> BTreeMap<String, u32> {
    crashes(recorded, Some(began))
}

/// The log that would say more about a finding.
fn wanted(recorded: &Recorded, finding: &Finding, elapsed: Duration) -> Option<Wanted> {
    let container = finding.container.as_ref()?;
    let runs = finding.exit_code.is_none() && finding.crashes.is_some();
    if finding.object.kind != "Pod" || finding.crashes.is_none() {
        return None;
    }
    let pod = recorded.get(&finding.object)?;
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let count = finding.crashes.unwrap_or(0);
    // One that runs goes on writing.
    let page = if runs { elapsed.as_secs() / 10 } else { 0 };
    Some(Wanted {
        key: format!("{uid}/{container}/{count:06}/{page:06}"),
        namespace: finding.object.namespace.clone()?,
        pod: finding.object.name.clone(),
        container: container.clone(),
        previous: !runs && is_up_again(pod, container),
    })
}

fn is_up_again(pod: &Value, container: &str) -> bool {
    let lists = ["initContainerStatuses", "containerStatuses"].into_iter().map(|key| &pod["status"][key]);
    let status = lists.filter_map(Value::as_array).flatten().find(|status| status["name"] == container);
    status.is_some_and(|status| status["state"]["terminated"].is_null() && !status["lastState"]["terminated"].is_null())
}
