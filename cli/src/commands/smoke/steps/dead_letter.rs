//! While the issuer is down a request becomes a dead letter that can be listed; when it is up again a retry succeeds.

use card_core::ids::TaskId;
use card_core::tasks::{Status, Task};
use serde_json::json;

use crate::client::{Behaviour, BulkFilter, Caller, Client};
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

/// Ends by itself if this process can't end it. Longer than five attempts take with the built-in settings.
const OUTAGE_MS: u64 = 60_000;

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let Some(issuer) = &stage.issuer else {
        return Err(Miss::Skipped("the address of the issuer is unknown; set CARDCTL_ISSUER_URL".to_owned()));
    };
    let Ok(before) = issuer.behaviour().await else {
        return Err(Miss::Skipped(format!("the issuer at {} can't be reached from this machine", issuer.url())));
    };
    issuer.set_behaviour(&Behaviour(json!({ "outage": { "for_ms": OUTAGE_MS } }))).await?;
    let died = tokio::select! {
        died = die(stage) => died,
        () = stage.stop.cancelled() => Err(Miss::Unknown("interrupted".to_owned())),
    };
    restore(issuer, &before).await?;
    let died = died?;
    listed(stage, died.id).await?;
    stage.client.retry(died.id).await?;
    let ended = stage.ended(died.id).await?;
    match ended.status {
        Status::Succeeded | Status::Declined => {
            Ok(format!("dead after {} attempts, listed, retried, {}", died.attempts, ended.status))
        }
        status => Err(Miss::Wrong(format!("{} is {status} after the retry", died.id))),
    }
}

/// A request that is tried until the platform gives it up.
async fn die(stage: &Stage) -> Result<Task, Miss> {
    let user = stage.user().await?;
    let task = stage.client.accept(&stage.replacements.get(0), stage.accept(&user, None)).await?;
    let ended = stage.ended(task.id).await?;
    match ended.status {
        Status::Dead => Ok(ended),
        status => {
            Err(Miss::Wrong(format!("{} is {status} after {} attempts with the issuer down", task.id, ended.attempts)))
        }
    }
}

/// Puts the outage back to what it was: none, or one that somebody else asked for.
async fn restore(issuer: &Client, before: &Behaviour) -> Result<(), Miss> {
    let outage = before.0.get("outage").cloned().unwrap_or_default();
    issuer.set_behaviour(&Behaviour(json!({ "outage": outage }))).await.map_err(|error| {
        Miss::Wrong(format!("the simulated outage could not be ended ({error}); it ends by itself within a minute"))
    })
}

async fn listed(stage: &Stage, task: TaskId) -> Result<(), Miss> {
    let filter = BulkFilter { run: Some(stage.run.clone()), ..BulkFilter::default() };
    let page = stage.client.dead_letters(&filter, None, None).await?;
    let attempts = stage.client.attempts(task, Caller::Operator).await?;
    if !page.items.iter().any(|dead| dead.id == task) {
        return Err(Miss::Incorrect(format!("{task} is dead, but not listed as a dead letter")));
    }
    if attempts.is_empty() || attempts.iter().any(|attempt| attempt.error.is_none()) {
        return Err(Miss::Wrong(format!("the attempts of {task} do not say why they failed")));
    }
    Ok(())
}
