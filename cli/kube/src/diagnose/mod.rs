//! Why it does not start: a pure function over what was recorded of a cluster.
//!
//! What is not here: reading the cluster (see [`wait`](crate::wait)), and what a user is told beyond a finding.
//! A finding is *terminal* when waiting will not help. What may be the blip of a start is not, for as long as
//! [`Reason::patience`] says; nothing is while something that the object needs is not ready.

mod container;
mod create;
mod finding;
mod image;
mod job;
mod mount;
mod pod;
mod probe;
mod reason;
mod recorded;
mod schedule;
mod symptom;
mod verdict;
mod volume;

#[cfg(test)]
mod tests;

pub use self::finding::Finding;
pub use self::reason::{Patience, Reason};
pub use self::recorded::{LogTail, Recorded};
pub use self::verdict::{Circumstances, Tolerate};

use crate::ObjectRef;
use crate::state::{Phase, State};

/// What is wrong with an object, the worst first. Empty while nothing is known to be.
#[must_use]
pub fn diagnose(recorded: &Recorded, object: &ObjectRef, circumstances: &Circumstances) -> Vec<Finding> {
    let Some(value) = recorded.get(object) else {
        return verdict::judged(
            recorded,
            vec![Finding::new(Reason::Missing, object).said("it does not exist")],
            circumstances,
        );
    };
    let mut findings = match (object.group.as_str(), object.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            let mut found = create::refused(recorded, object, value);
            found.extend(
                recorded.pods_of(object, value).into_iter().flat_map(|pod| pod::findings(recorded, object, pod)),
            );
            found
        }
        ("batch", "Job") => job::findings(recorded, object, value),
        ("", "Pod") => pod::findings(recorded, object, value),
        ("", "PersistentVolumeClaim") => volume::claim(recorded, object, value).into_iter().collect(),
        _ => Vec::new(),
    };
    let state = State::of(value);
    if findings.is_empty() && state.phase == Phase::Failed {
        let reason = if state.reason == "progress-deadline" { Reason::ProgressDeadline } else { Reason::Stalled };
        findings.push(Finding::new(reason, object).said(state.message));
    }
    verdict::judged(recorded, findings, circumstances)
}
