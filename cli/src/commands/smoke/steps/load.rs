//! A small load test; every accepted id is accounted for.

use std::time::Duration;

use card_loadtests::plan::{Plan, Stage as Stretch, presets};
use card_loadtests::result::{Audit, Report, Verdict};
use card_loadtests::run::{RunError, Setup, carry_out};
use tokio::sync::watch;

use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::{Stage, TASK_LIMIT};

/// A duplicate that comes later than this is no concern of a proof that is to take seconds.
const SETTLE: Duration = Duration::from_secs(1);

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    #[expect(clippy::cast_precision_loss, reason = "a number of users")]
    let users = stage.load.users as f64;
    let setup = Setup {
        client: stage.client.clone(),
        target: stage.target.clone(),
        run: stage.load_run.clone(),
        seed: stage.seed,
        plan: Plan {
            stages: vec![Stretch { to: users, over: Duration::ZERO }, Stretch { to: users, over: stage.load.duration }],
            warm_up: Duration::ZERO,
            min_samples: 1,
            patience: TASK_LIMIT,
            drain: TASK_LIMIT,
            settle: SETTLE,
            ..presets::custom()
        },
        ledger: stage.ledger.clone(),
    };
    let report = carry_out(&setup, &watch::Sender::default(), &stage.stop).await.map_err(|error| match error {
        RunError::Stream(lost) => lost.into(),
        RunError::Users(error) => error.into(),
        RunError::Stopped | RunError::Ledger(_) | RunError::Generator(_) => Miss::Unknown(error.to_string()),
    })?;
    judge(stage, &report)
}

/// Stricter than a load test by itself: here nothing may be refused, and how busy the machine was is no matter.
fn judge(stage: &Stage, report: &Report) -> Result<String, Miss> {
    let Audit { accepted, succeeded, declined, dead, cancelled, lost, duplicate, stuck, unverified, .. } =
        &report.correctness;
    let numbers = format!("{accepted} accepted, {lost} lost, {duplicate} duplicate, {stuck} stuck");
    match report.correctness.verdict {
        Verdict::Fail => return Err(Miss::Incorrect(numbers)),
        Verdict::Inconclusive if *unverified > 0 => {
            let reason = report.correctness.unverified_reason.clone().unwrap_or_default();
            return Err(Miss::Unknown(format!("{numbers}, {unverified} unverified: {reason}")));
        }
        Verdict::Pass | Verdict::Inconclusive => {}
    }
    if report.validity.unsent > 0 {
        let lacks: Vec<_> = report.validity.by_lack.iter().map(|(name, count)| format!("{count} {name}")).collect();
        return Err(Miss::Unknown(format!("{numbers}; not sent by this machine: {}", lacks.join(", "))));
    }
    let errors = &report.errors.by_code;
    if succeeded + declined == 0 && *dead > 0 {
        return Err(Miss::Wrong(format!("{numbers}; all of them are dead")));
    }
    if *accepted == 0 || !errors.is_empty() {
        let errors: Vec<_> = errors.iter().map(|(name, count)| format!("{count} {name}")).collect();
        return Err(Miss::Wrong(format!("{numbers}; not accepted: {}", errors.join(", "))));
    }
    if stage.stop.is_cancelled() {
        return Err(Miss::Unknown(format!("interrupted; until then {numbers}")));
    }
    let called_off = if *cancelled > 0 { format!(", {cancelled} cancelled") } else { String::new() };
    let outcomes = if declined + dead + cancelled > 0 {
        format!(" ({succeeded} succeeded, {declined} declined, {dead} dead{called_off})")
    } else {
        String::new()
    };
    let (users, seconds) = (stage.load.users, stage.load.duration.as_secs_f64());
    let e2e = &report.e2e_ms;
    Ok(format!("{users} users, {seconds:.0} s: {numbers}{outcomes}; e2e p50 {:.1} ms p95 {:.1} ms", e2e.p50, e2e.p95))
}
