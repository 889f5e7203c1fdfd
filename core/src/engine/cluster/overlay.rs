//! What Redis knows and the ledger does not: which open tasks a worker has.

use super::delivery::{QueueId, by_queue, by_shard};
use super::shared::Shared;
use crate::ids::TaskId;
use crate::tasks::{Status, Task};

/// Shows tasks, given with their places, as running if a worker has them. Without Redis the durable state is what is
/// known.
pub(super) async fn show_running(shared: &Shared, tasks: &mut [(i64, Task)]) {
    let open: Vec<usize> = (0..tasks.len()).filter(|at| !tasks[*at].1.status.is_final()).collect();
    for (shard, at) in by_shard(open, |at| tasks[*at].1.owner).into_iter().enumerate() {
        let queue_of = |task: &Task| QueueId::new(shared.kinds.code(task.kind).unwrap_or(u8::MAX), task.priority);
        for (queue, at) in by_queue(at, |at| queue_of(&tasks[*at].1)) {
            let ids: Vec<TaskId> = at.iter().map(|at| tasks[*at].1.id).collect();
            let Ok(held) = shared.delivery.held(shard, queue, &ids).await else { return };
            for (at, held) in at.into_iter().zip(held) {
                if let Some(held) = held {
                    let task = &mut tasks[at].1;
                    (task.status, task.started_at) = (Status::Running, Some(held.started_at));
                    task.attempts += 1;
                }
            }
        }
    }
}
