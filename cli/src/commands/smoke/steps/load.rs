//! A small load; then every accepted id is accounted for.

use std::sync::Arc;
use std::time::Duration;

use card_loadtests::audit::{Audit, Drain, Verdict, prove};
use card_loadtests::identities::Identities;
use card_loadtests::ledger::Ledger;
use card_loadtests::load::{Crew, Live, Plan, run as drive};
use card_loadtests::observer::Observer;
use card_loadtests::sender::Sender;

use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::{Stage, TASK_LIMIT};
use crate::commands::watch::PATIENCE;

const SEND_PATIENCE: Duration = Duration::from_secs(15);

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let run = &stage.load_run;
    let ledger = Arc::new(Ledger::create(stage.ledger.as_deref(), run, stage.seed, true)?);
    let observer = Arc::new(Observer::start(&stage.client, run, PATIENCE, |_, _| {}).await?);
    let live = Arc::new(Live::default());
    let crew = Crew {
        sender: Sender::new(&stage.client, run, Arc::clone(&ledger), SEND_PATIENCE, stage.stop.clone()),
        identities: Arc::new(Identities::new(&stage.client, run, stage.load.users)),
        orders: stage.replacements,
        observer: Arc::clone(&observer),
        live: Arc::clone(&live),
    };
    let plan = Plan { users: stage.load.users, duration: stage.load.duration, patience: TASK_LIMIT };
    drive(plan, &crew, &stage.stop).await?;
    ledger.flush()?;
    let audit = prove(&stage.client, run, &ledger, &observer, Drain { bound: TASK_LIMIT }).await;
    judge(stage, &audit, &live)
}

fn judge(stage: &Stage, audit: &Audit, live: &Live) -> Result<String, Miss> {
    let Audit { accepted, succeeded, declined, dead, lost, duplicate, stuck, unverified, .. } = audit;
    let numbers = format!("{accepted} accepted, {lost} lost, {duplicate} duplicate, {stuck} stuck");
    match audit.verdict() {
        Verdict::Fail => return Err(Miss::Incorrect(numbers)),
        Verdict::Inconclusive => {
            let reason = audit.unverified_reason.clone().unwrap_or_default();
            return Err(Miss::Unknown(format!("{numbers}, {unverified} unverified: {reason}")));
        }
        Verdict::Pass => {}
    }
    let errors = live.errors();
    if *accepted == 0 || !errors.is_empty() {
        let errors: Vec<_> = errors.iter().map(|(name, count)| format!("{count} {name}")).collect();
        return Err(Miss::Wrong(format!("{numbers}; not accepted: {}", errors.join(", "))));
    }
    let end_to_end = live.end_to_end.percentiles();
    let outcomes = if declined + dead > 0 { format!(" ({succeeded} succeeded, {declined} declined, {dead} dead)") } else { String::new() };
    let (users, seconds) = (stage.load.users, stage.load.duration.as_secs_f64());
    Ok(format!("{users} users, {seconds:.0} s: {numbers}{outcomes}; e2e p50 {:.1} ms p95 {:.1} ms", end_to_end.p50, end_to_end.p95))
}
