//! When waiting will not help.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::recorded::{Recorded, list, text, time};
use super::{Finding, Reason};
use crate::ObjectRef;

/// What may be the blip of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tolerate {
    /// A container that ends that often, with everything there that it needs, will not start. What could not reach
    /// something may do so once more: names and endpoints take seconds to get around.
    pub crashes: u32,
    /// A container may run so long without getting ready.
    pub unready: Duration,
    /// What was seen before the wait began is believed only if it is still so after this long.
    pub stale: Duration,
}

impl Default for Tolerate {
    fn default() -> Self {
        Self { crashes: 2, unready: Duration::from_secs(30), stale: Duration::from_secs(30) }
    }
}

/// What the record alone does not tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Circumstances {
    /// By the cluster's clock.
    pub now: Timestamp,
    /// When the change was applied, by the cluster's clock. None: everything in the record counts.
    pub began: Option<Timestamp>,
    /// What the object needs and is not ready.
    pub waits_for: Vec<ObjectRef>,
    /// Since when all of that is ready.
    pub needs_met: Option<Timestamp>,
    /// How often each container had ended before that: by `pod uid/container`.
    pub crashes_before: BTreeMap<String, u32>,
    /// What may be a blip.
    pub tolerate: Tolerate,
}

impl Circumstances {
    /// Nothing is needed, and everything counts: how a cluster is looked at outside of a wait.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            began: None,
            waits_for: Vec::new(),
            needs_met: None,
            crashes_before: BTreeMap::new(),
            tolerate: Tolerate::default(),
        }
    }
}

/// Findings with their advice and whether they are terminal, the worst first, one for each reason and container.
pub(super) fn judged(recorded: &Recorded, findings: Vec<Finding>, circumstances: &Circumstances) -> Vec<Finding> {
    let mut judged: Vec<Finding> = findings
        .into_iter()
        .map(|finding| {
            let finding = finding.advised();
            let terminal = is_terminal(recorded, &finding, circumstances);
            let waits_for = if may_wait(finding.reason) { circumstances.waits_for.clone() } else { Vec::new() };
            Finding { terminal, waits_for, ..finding }
        })
        .collect();
    judged.sort_by_key(|finding| (!finding.terminal, finding.reason, std::cmp::Reverse(finding.crashes)));
    // Ten pods of one deployment tell the same.
    judged.dedup_by(|second, first| {
        second.reason == first.reason && second.container == first.container && second.owner == first.owner
    });
    judged
}

fn is_terminal(recorded: &Recorded, finding: &Finding, circumstances: &Circumstances) -> bool {
    if !circumstances.waits_for.is_empty() && may_wait(finding.reason) {
        return false;
    }
    let tolerate = &circumstances.tolerate;
    // What was started since gets its own time, and as long as it starts, no time counts: an old crash says nothing of it.
    let status = status_of(recorded, finding);
    let running = status.map(|status| &status["state"]["running"]).filter(|running| !running.is_null());
    let is_starting = running.is_some() && status.is_some_and(|status| status["started"] == false);
    let tried = running.and_then(|running| time(&running["startedAt"]));
    let is_backing_off = status.is_some_and(is_backing_off);
    let since_began = circumstances.began.map(|began| lasted(began.max(tried.unwrap_or(began)), circumstances.now));
    if is_stale(recorded, finding, circumstances) {
        // What is only in back-off has not been tried again yet: its cause may be mended, and it comes up by itself then.
        if since_began.is_some_and(|lasted| lasted < tolerate.stale) || is_backing_off || is_starting {
            return false;
        }
    }
    let patience = finding.reason.patience();
    if let Some(limit) = patience.crashes(tolerate) {
        let before = crashes_before(recorded, finding, circumstances);
        let counted = finding.crashes.unwrap_or(1).saturating_sub(before);
        let stale_for_long = counted == 0
            && since_began.is_some_and(|lasted| lasted >= tolerate.stale)
            && !is_backing_off
            && !is_starting;
        return counted >= limit || (stale_for_long && finding.exit_code.is_some());
    }
    let Some(patience) = patience.lasts(tolerate) else { return false };
    // Nothing counts from before the change, or before what it needs was there.
    let start =
        finding.since.max(circumstances.began).max(circumstances.needs_met.filter(|_| may_wait(finding.reason)));
    patience.is_zero() || start.is_none_or(|start| lasted(start, circumstances.now) >= patience)
}

/// What a program does whose database is not there yet.
fn may_wait(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CrashLoop
            | Reason::DependencyUnreachable
            | Reason::DatabasePassword
            | Reason::MigrationPassword
            | Reason::MigrationUnreachable
            | Reason::MigrationFailed
            | Reason::ReadinessProbeFailed
            | Reason::PortRefused
            | Reason::StartupProbeFailed
            | Reason::LivenessProbeFailed
            | Reason::ProgressDeadline
    )
}

/// Whether all that shows it is from before the change, in a pod that was there before it.
fn is_stale(recorded: &Recorded, finding: &Finding, circumstances: &Circumstances) -> bool {
    let (Some(began), Some(object)) = (circumstances.began, recorded.get(&finding.object)) else { return false };
    let old = time(&object["metadata"]["creationTimestamp"]).is_some_and(|created| created < began);
    let shown = finding.seen.or(finding.since);
    old && shown.is_some_and(|shown| shown < began)
}

/// What the pod says of the container.
fn status_of<'a>(recorded: &'a Recorded, finding: &'a Finding) -> Option<&'a Value> {
    let pod = recorded.get(&finding.object)?;
    let mut statuses =
        ["initContainerStatuses", "containerStatuses"].into_iter().flat_map(|of| list(&pod["status"][of]));
    statuses.find(|status| status["name"].as_str() == finding.container.as_deref())
}

/// Whether the node waits before it tries a container again.
fn is_backing_off(status: &Value) -> bool {
    text(&status["state"]["waiting"]["reason"]).ends_with("BackOff")
}

fn crashes_before(recorded: &Recorded, finding: &Finding, circumstances: &Circumstances) -> u32 {
    let uid = recorded.get(&finding.object).and_then(|object| object["metadata"]["uid"].as_str());
    let (Some(uid), Some(container)) = (uid, &finding.container) else { return 0 };
    circumstances.crashes_before.get(&format!("{uid}/{container}")).copied().unwrap_or(0)
}

fn lasted(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
