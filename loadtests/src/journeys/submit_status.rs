//! Asks for a new card and asks for its status until that is final, as a program without an event stream does.

use std::io;
use std::time::Duration;

use card_core::ids::TaskId;
use card_kinds::replacement;
use tokio::time::Instant;

use super::{Crew, Visit, Went};
use card_client::{Caller, SyntheticUser};

/// Between two looks: at first as quick as the work can be, then slower, as well-behaved pollers do.
const FIRST: Duration = Duration::from_millis(20);
const LAST: Duration = Duration::from_secs(1);

pub(super) async fn run(
    crew: &Crew,
    visit: &Visit,
    user: SyntheticUser,
    number: u64,
) -> io::Result<(Went, Option<SyntheticUser>)> {
    match crew.order(visit, &user, number, replacement::KIND).await? {
        Ok((task, _)) => {
            let ended = tokio::select! {
                ended = poll(crew, visit, &user, task) => ended,
                () = visit.over.cancelled() => false,
            };
            Ok((Went::Well, ended.then_some(user)))
        }
        Err(unsent) => Ok(unsent.by(user)),
    }
}

/// Looks until the task is final; false if the user's patience is over first.
async fn poll(crew: &Crew, visit: &Visit, user: &SyntheticUser, task: TaskId) -> bool {
    let begun = Instant::now();
    let mut wait = FIRST;
    while begun.elapsed() < crew.patience {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST);
        let asked = Instant::now();
        match crew.client.task(task, None, Caller::User(&user.access_token)).await {
            Ok(task) => {
                visit.meter.status.record(asked.elapsed());
                if task.status.is_final() {
                    return true;
                }
            }
            Err(error) => visit.meter.status_error(&error),
        }
    }
    false
}
