//! `cardctl up -- CMD…`: the platform around one command.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use tokio::process::Command;

use super::{UpArgs, banner, converge};
use crate::commands::env;
use crate::context::{Context, Endpoint, endpoint};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::instance::{Process, Record, end, grace};

pub(super) async fn run(args: &UpArgs, context: &Context) -> Result<Exit, Failure> {
    // Attached: whatever becomes of this process, the platform does not outlive it.
    let converged = converge(args, true, context).await?;
    banner::remark(&converged, context);
    let record = &converged.record;
    let outcome = around(&args.command, &endpoint(record)?, Some(record), context).await;
    if converged.already_up {
        context.printer.say("the platform was up before, so it is left running");
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
    let spawned = Command::new(program).args(arguments).envs(variables).spawn();
    let outcome = match spawned {
        Ok(mut child) => {
            let process = child.id().and_then(Process::of);
            tokio::select! {
                status = child.wait() => status,
                () = context.stop.cancelled() => {
                    // A Ctrl-C of the terminal reaches the command by itself; a SIGTERM to this process does not.
                    if context.interrupted() == Exit::Terminated && let Some(process) = process {
                        let _ = process.signal(Signal::SIGTERM);
                    }
                    child.wait().await
                }
            }
        }
        Err(error) => Err(error),
    };
    outcome.map_err(|error| {
        Failure::new("command", Exit::NotReady, format!("{} can't be run: {error}", program.display()))
            .fix("check the name after --")
    })
}

/// The command's own code, which need not be one of ours; 128 and the signal's number if one ended it, as shells do.
pub(super) fn finish(status: ExitStatus) -> Result<Exit, Failure> {
    match status.code().or_else(|| Some(128 + status.signal()?)) {
        Some(0) => Ok(Exit::Done),
        code => std::process::exit(code.unwrap_or(1)),
    }
}
