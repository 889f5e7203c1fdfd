//! A small load; then every accepted id is accounted for.

use std::sync::Arc;

use card_loadtests::audit::{Audit, Verdict};
use card_loadtests::load::{Live, Plan};
use card_loadtests::trial::{Trial, TrialError};

use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::{Stage, TASK_LIMIT};

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let trial = Trial {
        run: stage.load_run.clone(),
        seed: stage.seed,
        orders: stage.replacements,
        plan: Plan { users: stage.load.users, duration: stage.load.duration, patience: TASK_LIMIT },
        drain: TASK_LIMIT,
        ledger: stage.ledger.clone(),
    };
    let live = Arc::new(Live::default());
    let audit = trial.run(&stage.client, &live, &stage.stop).await.map_err(|error| match error {
        TrialError::Stream(lost) => lost.into(),
        TrialError::Ledger(_) => Miss::Unknown(error.to_string()),
    })?;
    judge(stage, &audit, &live)
}

fn judge(stage: &Stage, audit: &Audit, live: &Live) -> Result<String, Miss> {
    let Audit { accepted, succeeded, declined, dead, lost, duplicate, stuck, unverified, .. } = audit;
    let numbers = format!("{accepted} accepted, {lost} lost, {duplicate} duplicate, {stuck} stuck");
    match audit.verdict() {
        Verdict::Fail => return Err(Miss::Incorrect(numbers)),
        Verdict::Inconclusive if *unverified > 0 => {
            let reason = audit.unverified_reason.clone().unwrap_or_default();
            return Err(Miss::Unknown(format!("{numbers}, {unverified} unverified: {reason}")));
        }
        Verdict::Pass | Verdict::Inconclusive => {}
    }
    let errors = live.errors();
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
    let end_to_end = live.end_to_end.percentiles();
    let outcomes = if declined + dead > 0 {
        format!(" ({succeeded} succeeded, {declined} declined, {dead} dead)")
    } else {
        String::new()
    };
    let (users, seconds) = (stage.load.users, stage.load.duration.as_secs_f64());
    Ok(format!(
        "{users} users, {seconds:.0} s: {numbers}{outcomes}; e2e p50 {:.1} ms p95 {:.1} ms",
        end_to_end.p50, end_to_end.p95
    ))
}
