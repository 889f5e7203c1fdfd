//! The present state of what is watched.

use card_core::ids::{RunId, TaskId};
use card_core::tasks::Task;
use futures::{StreamExt, TryStreamExt, stream};

use crate::client::{Caller, Client, ClientError, TaskQuery, is_not_found};
use crate::commands::tasks::sheet::not_found;
use crate::context::Context;
use crate::failure::Failure;

/// Asked for at once.
const CONCURRENCY: usize = 16;

/// The tasks of a run, oldest first.
///
/// # Errors
/// See [`ClientError`].
pub async fn of_run(client: &Client, run: &RunId) -> Result<Vec<Task>, ClientError> {
    let query = TaskQuery { run: Some(run.clone()), limit: Some(1000), ..TaskQuery::default() };
    let mut tasks = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = client.tasks(&query, cursor.as_deref()).await?;
        tasks.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            tasks.reverse();
            return Ok(tasks);
        }
    }
}

/// These tasks, in this order.
pub(super) async fn of_tasks(context: &Context, client: &Client, tasks: &[TaskId]) -> Result<Vec<Task>, Failure> {
    let calls = tasks.iter().map(async |task| match client.task(*task, None, Caller::Operator).await {
        Err(error) if is_not_found(&error) => Err(not_found(context, *task)),
        other => Ok(other?),
    });
    stream::iter(calls).buffered(CONCURRENCY).try_collect().await
}
