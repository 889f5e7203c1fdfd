//! Probes that fail.

use jiff::Timestamp;
use serde_json::Value;

use super::recorded::{Event, text, time};
use super::{Finding, Reason, Recorded};
use crate::ObjectRef;

const READINESS: &str = "Readiness probe ";

/// A container that runs and is not ready, if a probe says why.
pub(super) fn unready(
    recorded: &Recorded,
    at: impl Fn(Reason) -> Finding,
    named: &ObjectRef,
    status: &Value,
    events: &[Event<'_>],
) -> Option<Finding> {
    let name = text(&status["name"]);
    let started = time(&status["state"]["running"]["startedAt"]);
    // One of before the last start is about another process. Whole seconds on both sides.
    let failed = events
        .iter()
        .rev()
        .copied()
        .find(|event| event.reason() == "Unhealthy" && event.is_about(name) && event.last() >= started)?;
    let message = failed.message();
    let reason = if message.starts_with("Startup probe") {
        Reason::StartupProbeFailed
    } else if message.starts_with("Liveness probe") {
        Reason::LivenessProbeFailed
    } else if message.starts_with(READINESS) && message.contains("connection refused") {
        Reason::PortRefused
    } else {
        Reason::ReadinessProbeFailed
    };
    let found = at(reason).said(message).since(started).shown_by(Some(failed));
    let restarts = status["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok());
    Some(Finding { log_lines: recorded.log_lines(&named.name, name).to_vec(), crashes: restarts, ..found })
}

/// Whether a probe killed the run of a container that started then, and what the probe said. Exit codes do not tell: who
/// listens to signals ends well.
pub(super) fn killed(events: &[Event<'_>], container: &str, started: Option<Timestamp>) -> Option<(Reason, String)> {
    let of = |event: &&Event<'_>| event.is_about(container);
    let killing =
        events.iter().rev().filter(of).find(|event| event.reason() == "Killing" && event.last() >= started)?;
    let (reason, probe) = if killing.message().contains("failed liveness probe") {
        (Reason::LivenessProbeFailed, "Liveness")
    } else if killing.message().contains("failed startup probe") {
        (Reason::StartupProbeFailed, "Startup")
    } else {
        return None;
    };
    let said = events
        .iter()
        .rev()
        .filter(of)
        .find(|event| event.reason() == "Unhealthy" && event.message().starts_with(probe));
    Some((reason, said.map_or(killing.message(), |event| event.message()).to_owned()))
}
