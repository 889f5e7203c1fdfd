//! `cardctl down`: stops the platform of this machine.

pub(crate) mod kubernetes;
mod purge;

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::cluster::Remembered;
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::instance::{Ended, Lock, Record, clear_stale, end, end_orphans, grace, is_held};
use crate::output::home;
use card_core::exit::Exit;

/// Stop the platform and keep its data
///
/// Finishes requests and tasks in flight (up to server.drain-timeout), then stops. No accepted task is lost, even if the
/// platform has to be killed. Exits with 0 if nothing is running.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl down                        stop the platform and keep its data
  cardctl down --purge --yes          stop the platform and delete its data")]
pub struct DownArgs {
    /// Delete the data too; asks for confirmation unless --yes is given
    #[arg(long)]
    purge: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    instance: &'a str,
    target: &'static str,
    /// Whether something ran.
    stopped: bool,
    pid: Option<u32>,
    /// Whether it had to be killed.
    killed: bool,
    purged: bool,
    state_dir: &'a Path,
    /// Where more data lies, which nothing here deletes.
    database: Option<&'a str>,
}

/// How long a process that holds the lock may take to say who it is.
const NAMING_LIMIT: Duration = Duration::from_secs(5);

/// What a killed supervisor left gets so long to stop by itself.
const ORPHANS_LIMIT: Duration = Duration::from_secs(5);

/// Runs it.
///
/// # Errors
/// It can't be stopped, or its data can't be deleted.
pub async fn run(args: DownArgs, context: &Context) -> Result<Exit, Failure> {
    let local = match context.target()? {
        Target::Local(local) => local,
        Target::Kubernetes(kind) => return kubernetes::run(args.purge, kind, context).await,
        Target::Url(url) => {
            return Err(Failure::new(
                "usage",
                Exit::Usage,
                "down only stops a platform that up started on this machine",
            )
            .evidence(format!("the target is {url}"))
            .fix("cardctl --target embedded down"));
        }
    };
    let paths = &context.instance;
    if args.purge && paths.dir.exists() {
        // Before anything is stopped: what can't be done is said while there is a choice.
        purge::check(context)?;
        confirm(&context.instance.dir.display().to_string(), context)?;
    }
    let running = find(context).await?;
    let cluster = Remembered::load(paths);
    let ended = match &running {
        Some(record) => {
            let grace = grace(record.target, context.settings.settings.server.drain_timeout);
            tokio::select! {
                ended = end(record.process, grace) => Some(ended?),
                () = context.stop.cancelled() => return Err(context.interruption()
                    .left(format!("process {} was asked to stop and is still finishing its work", record.process.pid))),
            }
        }
        None => None,
    };
    clear_up(args.purge, context).await?;
    let printer = &context.printer;
    printer.data(&Document {
        instance: &paths.name,
        target: running.as_ref().map_or(local, |record| record.target).name(),
        stopped: running.is_some(),
        pid: running.as_ref().map(|record| record.process.pid),
        killed: ended == Some(Ended::Killed),
        purged: args.purge,
        state_dir: &paths.dir,
        database: cluster.as_ref().map(|cluster| cluster.database.as_str()),
    })?;
    let what = match ended {
        Some(Ended::Drained) => "stopped",
        Some(Ended::Killed) => "killed, because it did not stop in time; accepted tasks are in the ledger",
        None => "nothing was running",
    };
    let on_cluster = running.as_ref().map_or(cluster.is_some(), |record| record.cluster.is_some());
    let elsewhere = cluster.map(|cluster| format!("the data is kept in Postgres {}", cluster.database));
    let data = if args.purge {
        match elsewhere {
            Some(stays) => format!("the state on this machine is deleted; {stays}; drop that database to delete it"),
            None => "the data is deleted".to_owned(),
        }
    } else if let Some(stays) = elsewhere.filter(|_| on_cluster) {
        stays
    } else if paths.dir.exists() && running.as_ref().is_none_or(|record| !record.ephemeral) {
        format!("the data is kept in {}", home(&paths.dir))
    } else {
        "there is no data".to_owned()
    };
    printer.text(format!("{what}; {data}"))?;
    Ok(Exit::Done)
}

/// Who serves. One that has just taken the lock gets the time to say who it is.
async fn find(context: &Context) -> Result<Option<Record>, Failure> {
    let paths = &context.instance;
    let deadline = Instant::now() + NAMING_LIMIT;
    loop {
        if let Some(record) = Record::running(paths) {
            return Ok(Some(record));
        }
        if !is_held(paths).unwrap_or(false) {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new("busy", Exit::NotReady, "an unknown process holds the instance")
                .evidence(format!("{} is held", paths.lock().display()))
                .fix(format!("run fuser {} to find it", paths.lock().display())));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
            () = context.stop.cancelled() => return Err(context.interruption()),
        }
    }
}

async fn clear_up(purge: bool, context: &Context) -> Result<(), Failure> {
    let paths = &context.instance;
    if !paths.dir.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Failure::new("state-directory", Exit::NotReady, format!("{} can't be cleaned up: {error}", paths.dir.display()))
            .fix("run this as the user who started the platform")
    };
    // Whoever has the lock now is a new platform: it is not ours to clear up after.
    let Some(_lock) = Lock::take(paths).map_err(failed)? else {
        return match purge {
            false => Ok(()),
            true => Err(Failure::new(
                "not-purged",
                Exit::NotReady,
                "the data is not deleted, because another up started meanwhile",
            )
            .evidence(format!("{} is locked again", paths.lock().display()))
            .fix(format!("{} down --purge", context.program()))
            .left("the running platform was not changed")),
        };
    };
    end_orphans(paths, ORPHANS_LIMIT).await;
    if let Some(left) = clear_stale(paths).map_err(failed)? {
        context.printer.say(format!(
            "instance.json named {} as temporary data; cardctl did not create that directory, so it is kept",
            left.display()
        ));
    }
    if purge { purge::delete(context) } else { Ok(()) }
}

fn confirm(what: &str, context: &Context) -> Result<(), Failure> {
    if context.yes {
        return Ok(());
    }
    let refused = |message: &str| {
        Failure::new("not-confirmed", Exit::NotReady, message)
            .fix(format!("{} down --purge --yes", context.program()))
            .left("nothing was stopped or deleted")
    };
    if !context.interactive {
        return Err(refused("down --purge deletes all data; that needs confirmation, and stdin is not a terminal"));
    }
    context.printer.say(format!("This deletes {what} for good. Type yes to continue:"));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" { Ok(()) } else { Err(refused("not confirmed")) }
}
