//! Of 64 concurrent requests of one user one is accepted, and the others name it (P3).

use card_core::problem::Code;
use card_core::tasks::Task;
use futures::future::join_all;

use crate::client::ClientError;
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

const CALLERS: u64 = 64;

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let user = stage.user().await?;
    // Nothing may end meanwhile, or a second one is rightly accepted. Others' work is not paused for that.
    if stage.is_own {
        stage.client.set_paused(true).await?;
    }
    let accept = stage.accept(&user, None);
    let orders: Vec<_> = (0..CALLERS).map(|number| stage.replacements.get(number)).collect();
    let answers = join_all(orders.iter().map(|order| stage.client.accept(order, accept))).await;
    if stage.is_own {
        stage.client.set_paused(false).await?;
    }
    let (accepted, refused) = sort(answers)?;
    if stage.is_own && accepted.len() > 1 {
        return Err(Miss::Incorrect(format!("{} of {CALLERS} were accepted at once", accepted.len())));
    }
    let mut ended = Vec::new();
    for task in &accepted {
        ended.push(stage.ended(task.id).await?);
    }
    ended.sort_by_key(|task| task.accepted_at);
    for pair in ended.windows(2) {
        if pair[0].settled_at.is_none_or(|settled| settled > pair[1].accepted_at) {
            return Err(Miss::Incorrect(format!("{} and {} were open at once", pair[0].id, pair[1].id)));
        }
    }
    if refused.iter().any(|open| !accepted.iter().any(|task| Some(task.id) == *open)) {
        return Err(Miss::Wrong("a refusal does not name the open task".to_owned()));
    }
    Ok(format!("{} of {CALLERS} accepted at a time, {} times 409 naming the open one", 1, refused.len()))
}

type Sorted = (Vec<Task>, Vec<Option<card_core::ids::TaskId>>);

fn sort(answers: Vec<Result<Task, ClientError>>) -> Result<Sorted, Miss> {
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(task) => accepted.push(task),
            Err(error) if error.code() == Some(Code::ReplacementOpen) => {
                refused.push(error.problem().and_then(|problem| problem.open_task));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if accepted.is_empty() { Err(Miss::Wrong("none was accepted".to_owned())) } else { Ok((accepted, refused)) }
}
