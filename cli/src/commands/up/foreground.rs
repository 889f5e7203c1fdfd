//! `cardctl up` without `-d`: this process serves until it is told to stop.

use card_core::telemetry::logs;
use tokio::time::Instant;

use super::converge::{Converged, present, ready};
use super::{UpArgs, banner};
use crate::context::Context;
use crate::failure::Failure;
use crate::instance::Serving;
use card_core::exit::Exit;

pub(super) async fn run(args: &UpArgs, context: &Context) -> Result<Exit, Failure> {
    let began = Instant::now();
    let deadline = began + args.wait();
    let plan = args.plan(context)?;
    logs::install_as(&plan.settings.log, plan.component())
        .map_err(|error| Failure::new("settings", Exit::Usage, error.to_string()).fix("cardctl config show"))?;
    let mut restart = args.restart;
    let mut serving = loop {
        if let Some(converged) = present(&plan, &mut restart, began, deadline, context).await? {
            banner::warn_of_eviction(&converged, args, context).await;
            banner::show(&converged, &format!("{} down", context.program()), context)?;
            args.open_page(&converged.record.url, context).await;
            return Ok(Exit::Done);
        }
        // None: another `up` was faster.
        let begun = tokio::select! {
            begun = Serving::begin(&plan, false) => begun?,
            () = context.stop.cancelled() => return Err(context.interruption().left("nothing is running")),
        };
        if let Some(serving) = begun {
            break serving;
        }
    };
    let record = serving.record();
    let shown = match ready(&record, deadline, context).await {
        Ok(proof) => {
            let converged = Converged { record, ready: began.elapsed(), already_up: false, proof, tie: None };
            banner::warn_of_eviction(&converged, args, context).await;
            let shown = banner::show(&converged, "Ctrl-C", context);
            args.open_page(&converged.record.url, context).await;
            shown
        }
        Err(failure) => {
            serving.end().await;
            return Err(failure.left("nothing is running; the data is unchanged"));
        }
    };
    // A reader of the banner that went away is no reason to stop serving.
    if let Err(failure) = shown
        && !failure.is_closed_output()
    {
        serving.end().await;
        return Err(failure);
    }
    let failed = serving.until(&context.stop).await;
    context.printer.say(
        "stopping: finishing requests and tasks in flight; press again to quit at once (no accepted task is lost)",
    );
    let drained = serving.end().await;
    if let Some(part) = failed {
        return Err(Failure::internal(format!("the {part} exited unexpectedly"))
            .left("nothing is running; the data is on disk"));
    }
    let end = if drained { "stopped" } else { "stopped; work that took longer than server.drain-timeout was cut off" };
    context.printer.say(end);
    Ok(Exit::Done)
}
