//! `cardctl up -- CMD…`: the platform around one command.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::time::Instant;

use super::{UpArgs, banner, converge};
use crate::commands::env;
use crate::context::{Context, Endpoint, endpoint};
use crate::failure::Failure;
use crate::instance::{Process, Record, end, grace};
use card_core::exit::Exit;

pub(super) async fn run(args: &UpArgs, context: &Context) -> Result<Exit, Failure> {
    // What was up before stays, also if it is started anew as asked (--restart).
    let was_up = Record::running(&context.instance).is_some();
    // Attached: whatever becomes of this process, a platform that it starts does not outlive it.
    let converged = converge(args, !was_up, context).await?;
    banner::remark(&converged, context);
    banner::warn_of_eviction(&converged, args, context).await;
    let record = &converged.record;
    let outcome = around(&args.command, &endpoint(record)?, Some(record), context).await;
    if converged.already_up || was_up {
        context.printer.say("the platform was already running, so it is left running");
    } else {
        end(record.process, grace(record.target, context.settings.settings.server.drain_timeout)).await?;
    }
    finish(outcome?)
}

/// Runs a command that finds the platform in its environment.
///
/// # Errors
/// It can't be run.
pub(super) async fn around(
    command: &[OsString],
    endpoint: &Endpoint,
    record: Option<&Record>,
    context: &Context,
) -> Result<ExitStatus, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::internal("there is no command to run"));
    };
    let variables = env::variables(endpoint, record, &context.instance.name);
    let family = Family::begin();
    let spawned = Command::new(program).args(arguments).envs(variables).spawn();
    let outcome = match spawned {
        Ok(mut child) => tokio::select! {
            status = child.wait() => status,
            () = context.stop.cancelled() => match asked_of_us_alone(context) {
                false => child.wait().await,
                true => {
                    let mut told = HashSet::new();
                    family.tell(&mut told);
                    let status = child.wait().await;
                    family.end(told).await;
                    status
                }
            },
        },
        Err(error) => Err(error),
    };
    outcome.map_err(|error| {
        Failure::new("command", Exit::NotReady, format!("{} can't be run: {error}", program.display()))
            .fix("check the name after --")
    })
}

/// Whether the command has to be told: the Ctrl-C of a terminal reaches it by itself, a signal to this process does not.
fn asked_of_us_alone(context: &Context) -> bool {
    context.interrupted() == Exit::Terminated || std::fs::File::open("/dev/tty").is_err()
}

/// What the command leaves gets so long to end once the command itself has.
const LEFT_LIMIT: Duration = Duration::from_secs(10);

/// The command and all that it started, in whatever session or group: what loses its parent becomes a child of this process.
struct Family {
    /// Children of this process that have nothing to do with the command: the platform.
    others: HashSet<Process>,
}

impl Family {
    /// Before the command is started.
    fn begin() -> Self {
        // Without it, what loses its parent is not found any more; the command itself and its children are.
        let _ = nix::sys::prctl::set_child_subreaper(true);
        Self { others: Process::children_of(std::process::id()).into_iter().collect() }
    }

    fn members(&self) -> Vec<Process> {
        let of_us = Process::children_of(std::process::id());
        let mut found: Vec<_> = of_us.into_iter().filter(|child| !self.others.contains(child)).collect();
        let mut next = 0;
        while let Some(member) = found.get(next) {
            found.extend(Process::children_of(member.pid));
            next += 1;
        }
        found
    }

    /// Asks each of them to end, once.
    fn tell(&self, told: &mut HashSet<Process>) {
        for member in self.members() {
            if told.insert(member) {
                // It can only be gone meanwhile, or another user's.
                let _ = member.signal(Signal::SIGTERM);
            }
        }
    }

    /// What is left when the command has ended: told, waited for, and killed.
    async fn end(&self, mut told: HashSet<Process>) {
        let deadline = Instant::now() + LEFT_LIMIT;
        while !self.members().is_empty() {
            if Instant::now() < deadline {
                self.tell(&mut told);
            } else {
                for member in self.members() {
                    let _ = member.signal(Signal::SIGKILL);
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The command's own code, which need not be one of ours; 128 and the signal's number if one ended it, as shells do.
pub(super) fn finish(status: ExitStatus) -> Result<Exit, Failure> {
    match status.code().or_else(|| Some(128 + status.signal()?)) {
        Some(0) => Ok(Exit::Done),
        code => std::process::exit(code.unwrap_or(1)),
    }
}
