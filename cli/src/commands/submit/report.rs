//! What came of a submission: the document, the lines for people and the exit code.

use std::collections::BTreeMap;
use std::time::Duration;

use card_client::audit::{Audit, Verdict};
use card_client::latency::Percentiles;
use card_core::ids::{RunId, TaskId, UserId};
use card_core::tasks::{Kind, Status};
use serde::Serialize;

use super::campaign::{Ending, Outcome, Plan};
use crate::commands::watch::screen::milliseconds;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Paint;
use card_core::exit::Exit;

/// `submit -o json`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// Only in a stream of lines, where it tells the summary from the rest.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    run: &'a RunId,
    seed: u64,
    accepted: u64,
    succeeded: u64,
    declined: u64,
    dead: u64,
    cancelled: u64,
    pending: u64,
    lost: u64,
    duplicate: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unverified: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "is_zero")]
    resent: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_gateway: BTreeMap<&'static str, u64>,
    e2e_ms: EndToEnd,
    tasks: Vec<TaskLine>,
}

#[derive(Debug, Default, Serialize)]
struct EndToEnd {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

#[derive(Debug, Serialize)]
struct TaskLine {
    id: TaskId,
    user: Option<UserId>,
    kind: Kind,
    status: Status,
    e2e_ms: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Percentiles> for EndToEnd {
    fn from(of: Percentiles) -> Self {
        if of.n == 0 {
            return Self::default();
        }
        Self { p50: Some(of.p50), p95: Some(of.p95), p99: Some(of.p99), max: Some(of.max) }
    }
}

impl<'a> Document<'a> {
    /// Of a campaign.
    #[must_use]
    pub fn new(plan: &'a Plan, outcome: &Outcome) -> Self {
        let counts = outcome.board.counts();
        let audited = |count: fn(&Audit) -> u64| outcome.audit.as_ref().map_or(0, count);
        let tasks = outcome.board.rows().into_iter().map(|row| TaskLine {
            id: row.task,
            user: row.user,
            kind: row.kind,
            status: row.status,
            e2e_ms: row.end_to_end.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        });
        Self {
            kind: None,
            run: &plan.run,
            seed: plan.seed,
            accepted: counts.tasks,
            succeeded: counts.succeeded,
            declined: counts.declined,
            dead: counts.dead,
            cancelled: counts.cancelled,
            pending: counts.pending,
            lost: audited(|audit| audit.lost),
            duplicate: audited(|audit| audit.duplicate),
            unverified: audited(|audit| audit.unverified),
            errors: outcome.errors.clone(),
            resent: outcome.resent,
            by_gateway: outcome.by_gateway.clone(),
            e2e_ms: outcome.end_to_end.into(),
            tasks: tasks.collect(),
        }
    }

    /// As the last line of a stream of lines.
    #[must_use]
    pub fn last_line(self) -> Self {
        Self { kind: Some("summary"), ..self }
    }
}

/// Whether the audit found what waiting does not mend. What is not final when the time is up is pending; it is stuck only if
/// the stream said that it had ended.
#[must_use]
pub fn is_wrong(outcome: &Outcome) -> bool {
    outcome.audit.as_ref().is_some_and(|audit| {
        audit.lost + audit.duplicate > 0 || (outcome.ending == Ending::Complete && audit.stuck > 0)
    })
}

/// How the program ends. Of several reasons the first wins: incorrect, failed work, time, not known, not accepted.
#[must_use]
pub fn exit(context: &Context, outcome: &Outcome) -> Exit {
    let counts = outcome.board.counts();
    let wrong = is_wrong(outcome);
    let unverified = outcome.audit.as_ref().is_some_and(|audit| audit.verdict == Verdict::Inconclusive);
    if wrong {
        Exit::Incorrect
    } else if outcome.ending == Ending::Interrupted {
        context.interrupted()
    } else if counts.failed() > 0 {
        Exit::WorkFailed
    } else if outcome.ending == Ending::TimeUp {
        Exit::Timeout
    } else if unverified || outcome.ending == Ending::StreamLost && outcome.audit.as_ref().is_none_or(|a| a.stuck > 0) {
        Exit::Unknown
    } else if let Some(error) = &outcome.first_error {
        Failure::from(error.clone()).exit
    } else {
        Exit::Done
    }
}

/// The verdict of an audit in one line. What is not final is stuck, or only pending if the wait ended first.
#[must_use]
pub fn verdict_line(audit: &Audit, ending: Ending, paint: Paint) -> String {
    let Audit { accepted, lost, duplicate, stuck, unverified, .. } = audit;
    let sound = audit.sound();
    let open = if ending == Ending::Complete { "stuck" } else { "pending" };
    let numbers =
        format!("{accepted} accepted, {sound} accounted for, {lost} lost, {duplicate} duplicate, {stuck} {open}");
    match audit.verdict {
        Verdict::Pass => format!("{}  {numbers}", paint.good("✔ audit passed")),
        Verdict::Fail => format!("{}  {numbers}", paint.bad("✘ audit failed")),
        Verdict::Inconclusive => {
            let reason = audit.unverified_reason.as_deref().unwrap_or("not all of it could be read");
            format!("{}  {numbers}, {unverified} unverified: {reason}", paint.warn("? audit inconclusive"))
        }
    }
}

/// The latencies in one line; none if nothing was measured.
#[must_use]
pub fn latency_line(label: &str, of: &Percentiles) -> Option<String> {
    (of.n > 0).then(|| {
        let [p50, p95, p99, max] =
            [of.p50, of.p95, of.p99, of.max].map(|of| milliseconds(Duration::from_secs_f64(of / 1000.0)));
        format!("{label}  p50 {p50}  p95 {p95}  p99 {p99}  max {max}")
    })
}
