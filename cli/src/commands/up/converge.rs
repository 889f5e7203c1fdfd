//! From whatever is there to a platform that runs as asked, in the background.

use std::time::Duration;

use card_core::engine::sqlite;
use card_core::time::format_duration;
use tokio::time::Instant;

use super::UpArgs;
use crate::cluster::{Place, Service, reach};
use crate::context::{Context, endpoint};
use crate::failure::Failure;
use crate::instance::{
    Difference, Local, Phase, Plan, Proof, Record, clear_stale, detached, end, grace, is_held, prove,
};
use card_core::exit::Exit;

/// A platform that is ready.
pub struct Converged {
    /// Who serves and how.
    pub record: Record,
    /// From the start of the command to ready.
    pub ready: Duration,
    /// It ran before.
    pub already_up: bool,
    /// How it was shown to be ready.
    pub proof: Proof,
    /// Dropped, it ends a platform that is tied to this process.
    pub tie: Option<tokio::process::ChildStdin>,
}

/// Makes sure that the platform runs as asked and is ready. With `attached`, one that is started here ends with this
/// process at the latest.
///
/// # Errors
/// It runs otherwise and `--restart` was not given, or it can't be started; then nothing is left behind.
pub async fn converge(args: &UpArgs, attached: bool, context: &Context) -> Result<Converged, Failure> {
    let began = Instant::now();
    let deadline = began + args.wait();
    let mut plan = args.plan(context)?;
    plan.attached = attached;
    let mut restart = args.restart;
    loop {
        if let Some(converged) = present(&plan, &mut restart, began, deadline, context).await? {
            return Ok(converged);
        }
        let give_up = async {
            tokio::select! {
                () = context.stop.cancelled() => context.interruption(),
                () = tokio::time::sleep_until(deadline) => late(args.wait()),
            }
        };
        // None: another `up` was faster. Look again at what it made.
        let Some(started) = detached::spawn(&plan, give_up).await? else { continue };
        let record = started.record;
        return match ready(&record, deadline, context).await {
            Ok(proof) => Ok(Converged { record, ready: began.elapsed(), already_up: false, proof, tie: started.tie }),
            Err(failure) => {
                end(record.process, grace(record.target, plan.settings.server.drain_timeout)).await?;
                Err(failure.left("nothing is running; the data is unchanged"))
            }
        };
    }
}

/// The platform that runs already as planned, shown to be ready; none if there is none and one can be started.
///
/// # Errors
/// As [`settled`], or it runs and is not ready.
pub(super) async fn present(
    plan: &Plan,
    restart: &mut bool,
    began: Instant,
    deadline: Instant,
    context: &Context,
) -> Result<Option<Converged>, Failure> {
    while let Some(record) = settled(plan, restart, deadline, context).await? {
        match ready(&record, deadline, context).await {
            Ok(proof) => {
                let ready = began.elapsed();
                return Ok(Some(Converged { record, ready, already_up: true, proof, tie: None }));
            }
            // It ended while it was looked at: look again.
            Err(_) if !record.process.is_alive() && Instant::now() < deadline => {}
            Err(failure) => return Err(failure.left(format!("process {} is still running", record.process.pid))),
        }
    }
    Ok(None)
}

/// Waits until an instance either serves as planned or is free to be started.
///
/// # Errors
/// It serves otherwise, or can't make up its mind before the deadline.
async fn settled(
    plan: &Plan,
    restart: &mut bool,
    deadline: Instant,
    context: &Context,
) -> Result<Option<Record>, Failure> {
    let paths = &plan.paths;
    let mut waited = false;
    loop {
        match Record::running(paths) {
            Some(record) if record.phase != Phase::Stopping && *restart => {
                if plan.leaves_target_open(&record) {
                    return Err(another_target(&record, plan.target(), context));
                }
                *restart = false;
                context
                    .printer
                    .say(format!("stopping process {} to restart it with the new configuration", record.process.pid));
                end(record.process, grace(record.target, plan.settings.server.drain_timeout)).await?;
            }
            Some(record) if record.phase == Phase::Serving => {
                let differences = plan.differences(&record);
                return if differences.is_empty() {
                    Ok(Some(record))
                } else {
                    Err(differs(&record, &differences, context))
                };
            }
            None if !is_held(paths).unwrap_or(false) => {
                if let Some(stale) = Record::load(paths) {
                    let pid = stale.process.pid;
                    context
                        .printer
                        .say(format!("process {pid} exited without stopping in order; starting again with its data"));
                    // What it left is cleared up by who takes the lock; a directory that can't be written says so there.
                    if !stale.ephemeral && stale.children.is_empty() {
                        let _ = clear_stale(paths);
                    }
                }
                return Ok(None);
            }
            _ if !waited => {
                waited = true;
                context
                    .printer
                    .say(format!("instance {:?} is being started or stopped by another process; waiting", paths.name));
            }
            _ => {}
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
            () = context.stop.cancelled() => return Err(context.interruption()),
            () = tokio::time::sleep_until(deadline) => return Err(Failure::new(
                "busy", Exit::Timeout, format!("instance {:?} is still being started or stopped by another process", paths.name))
                .evidence(format!("{} is held", paths.lock().display()))
                .fix(format!("{} down", context.program()))),
        }
    }
}

/// Shows that what the record names is ready.
pub(super) async fn ready(record: &Record, deadline: Instant, context: &Context) -> Result<Proof, Failure> {
    let endpoint = endpoint(record)?;
    if record.cluster.is_none()
        && let Err(error) = sqlite::room(&record.data_dir)
    {
        return Err(Failure::new(
            "state-disk-full",
            Exit::NotReady,
            format!("the platform accepts no requests: {error}"),
        )
        .evidence(record.data_dir.display())
        .fix(format!("free space on the disk that holds {}", record.data_dir.display())));
    }
    let gone = async {
        while record.process.is_alive() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let kinds = record.settings.get("worker.kinds").and_then(|kinds| kinds.value.as_str()).unwrap_or_default();
    tokio::select! {
        proof = prove(&endpoint, kinds, deadline.saturating_duration_since(Instant::now())) => match proof {
            Err(failure) => Err(explained(failure, record).await),
            proof => proof,
        },
        () = context.stop.cancelled() => Err(context.interruption()),
        () = gone => Err(Failure::new("start", Exit::NotReady, format!("process {} exited before it was ready", record.process.pid))
            .fix(format!("{} logs --level warn", context.program()))),
    }
}

/// A restart as something else goes on with other data: that has to be said, not left out.
fn another_target(record: &Record, asked: Local, context: &Context) -> Failure {
    let (is, asked, program) = (record.target.name(), asked.name(), context.program());
    Failure::new("configuration-differs", Exit::NotReady, format!("the platform is running as {is}, with other data"))
        .evidence(format!("without --target it would start as {asked}"))
        .fix(format!("{program} up -t {is} --restart, or {program} up -t {asked} --restart"))
        .left("the running platform was not changed")
}

/// What of a cluster can't be reached is the likely reason why a platform is not ready.
async fn explained(failure: Failure, record: &Record) -> Failure {
    let Some(cluster) = &record.cluster else { return failure };
    let mut failure = failure;
    for (service, shown) in [(Service::Postgres, &cluster.database), (Service::Redis, &cluster.redis)] {
        if let Ok(place) = shown.parse::<Place>()
            && let Err(reason) = reach(&place).await
        {
            failure = failure.evidence(format!("{} can't be reached: {reason}", service.name()));
        }
    }
    failure
}

fn late(limit: Duration) -> Failure {
    Failure::new("not-ready", Exit::Timeout, format!("the platform did not start within {}", format_duration(limit)))
        .fix("cardctl doctor, or wait longer with --wait-timeout")
        .left("nothing is running; the data is unchanged")
}

fn differs(record: &Record, differences: &[Difference], context: &Context) -> Failure {
    let message = format!("the platform is up with another configuration (process {})", record.process.pid);
    differences
        .iter()
        .fold(
            Failure::new("configuration-differs", Exit::NotReady, message),
            |failure, Difference { setting, running, asked }| {
                failure.evidence(format!("{setting}: running with {running}, requested {asked}"))
            },
        )
        .fix(format!("{} up --restart, with the same flags, applies it", context.program()))
        .left("the running platform was not changed")
}
