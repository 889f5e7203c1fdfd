//! The same `Idempotency-Key` gets the same answer; with another body it is refused (P4).

use card_core::problem::Code;
use card_kinds::replacement::{CardReplacement, Reason, Replacement};

use crate::client::{Caller, Order};
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let user = stage.user().await?;
    let accept = stage.accept(&user, Some("smoke"));
    let order = |reason| Order::of::<CardReplacement>(&Replacement { reason });
    let first = stage.client.accept(&order(Reason::Lost), accept).await?;
    let second = stage.client.accept(&order(Reason::Lost), accept).await?;
    if first.id != second.id {
        return Err(Miss::Incorrect(format!("one key, two tasks: {} and {}", first.id, second.id)));
    }
    match stage.client.accept(&order(Reason::Stolen), accept).await {
        Err(error) if error.code() == Some(Code::IdempotencyMismatch) => {}
        Err(error) => return Err(Miss::Wrong(format!("the key with another body: {}", error.name()))),
        Ok(task) => return Err(Miss::Incorrect(format!("the key with another body was accepted as {}", task.id))),
    }
    stage.ended(first.id).await?;
    // The key still answers when the task has long ended.
    let third = stage.client.accept(&order(Reason::Lost), accept).await?;
    let all = stage.client.replacements(Caller::User(&user.access_token), None).await?.items.len();
    if third.id != first.id || all != 1 {
        return Err(Miss::Incorrect(format!("one key made {all} tasks")));
    }
    Ok("same answer three times; another body 422".to_owned())
}
