//! Jobs: their pods, or their end.

use serde_json::Value;

use super::recorded::{list, text, time};
use super::{Finding, Reason, Recorded, create, pod};
use crate::ObjectRef;

pub(super) fn findings(recorded: &Recorded, owner: &ObjectRef, job: &Value) -> Vec<Finding> {
    let is = |kind: &str| list(&job["status"]["conditions"]).find(|one| one["type"] == kind && one["status"] == "True");
    let pods = recorded.pods_of(owner, job);
    if is("Complete").is_some() {
        return Vec::new();
    }
    let mut of_pods: Vec<Finding> = pods.iter().flat_map(|pod| pod::findings(recorded, owner, pod)).collect();
    // Each failed pod of a job is one try; only the last tells.
    of_pods.sort_by_key(|finding| finding.seen);
    let Some(failed) = is("Failed").or_else(|| is("FailureTarget")) else {
        let refused = create::of(recorded, owner, job).filter(|_| pods.is_empty());
        return refused.into_iter().chain(of_pods.pop()).collect();
    };
    let reason = if failed["reason"] == "DeadlineExceeded" { Reason::JobDeadline } else { Reason::JobFailed };
    let said = format!("{}: {}", text(&failed["reason"]), text(&failed["message"]));
    let ended = Finding::new(reason, owner).said(said).since(time(&failed["lastTransitionTime"]));
    let event = recorded.events(job).into_iter().rev().find(|event| event.reason() == text(&failed["reason"]));
    let ended = ended.shown_by(event);
    vec![match of_pods.pop() {
        // What is known of its pod says more than that the job failed.
        Some(last) if last.reason != Reason::CrashLoop => {
            Finding { event: last.event.or(ended.event), crashes: None, ..last }
        }
        Some(last) => {
            Finding { exit_code: last.exit_code, log_lines: last.log_lines, container: last.container, ..ended }
        }
        None => ended,
    }]
}
