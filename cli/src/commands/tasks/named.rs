//! Tasks that are named on a command line, read before the first of them is changed.

use std::collections::HashSet;

use card_core::ids::TaskId;
use card_core::tasks::Task;
use futures::{StreamExt, TryStreamExt, stream};

use super::sheet::not_found;
use crate::client::{self, Caller, Client};
use crate::context::Context;
use crate::failure::Failure;

/// Reads under way at once.
const CONCURRENCY: usize = 16;

/// Each of them once, in this order.
///
/// # Errors
/// There is no such task, the platform does not answer, or the command was interrupted.
pub async fn named(context: &Context, client: &Client, names: &[TaskId]) -> Result<Vec<Task>, Failure> {
    let mut seen = HashSet::with_capacity(names.len());
    let names = names.iter().copied().filter(|name| seen.insert(*name));
    let read = async |name| match client.task(name, None, Caller::Operator).await {
        Err(error) if client::is_not_found(&error) => Err(not_found(context, name).left("nothing was changed")),
        read => Ok(read?),
    };
    let tasks = stream::iter(names).map(read).buffered(CONCURRENCY).try_collect();
    tokio::select! {
        tasks = tasks => tasks,
        () = context.stop.cancelled() => Err(context.interruption().left("nothing was changed")),
    }
}
