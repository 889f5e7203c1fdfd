//! Finding what Redis holds and the ledger does not: what is left over of tasks that are final or gone, as when Redis
//! came back from an old dump. It would be handed out for nothing, and take the room of others.

use redis::RedisResult;

use super::super::rows::SHARDS;
use super::{Delivery, QueueId};
use crate::ids::TaskId;

/// How far the walk through all that Redis holds has come.
#[derive(Debug)]
pub(in super::super) struct Tidying {
    /// Which shard of which queue, counting queues by their place among `queues`.
    place: usize,
    /// Where to go on in the stream, and in the three others.
    stream: String,
    cursors: [u64; 3],
    /// Those of `cursors` that came round.
    done: [bool; 3],
}

impl Default for Tidying {
    fn default() -> Self {
        Self { place: 0, stream: "-".into(), cursors: [0; 3], done: [false; 3] }
    }
}

impl Tidying {
    /// The shard, and the queue. `queues` may grow meanwhile.
    pub(in super::super) fn place(&self, queues: &[QueueId]) -> Option<(usize, QueueId)> {
        Some((self.place % SHARDS, *queues.get(self.place / SHARDS)?))
    }

    /// Whether the walk is at its beginning.
    pub(in super::super) fn is_at_start(&self) -> bool {
        self.place == 0 && self.stream == "-" && self.done == [false; 3]
    }
}

impl Delivery {
    /// Removes what belongs to no task from a part of one place, and answers the tasks that are in that part; moves on.
    pub(in super::super) async fn tidy(
        &self,
        at: &mut Tidying,
        queues: &[QueueId],
        count: usize,
    ) -> RedisResult<Vec<TaskId>> {
        let Some((shard, queue)) = at.place(queues) else {
            *at = Tidying::default();
            return Ok(Vec::new());
        };
        let mut call = self.scripts.tidy.prepare_invoke();
        self.keys.place(shard, queue).of(&mut call);
        call.arg(count).arg(&at.stream);
        for cursor in at.cursors {
            call.arg(cursor);
        }
        let (stream, waiting, held, leases, names): (String, u64, u64, u64, Vec<Vec<u8>>) =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        at.cursors = [waiting, held, leases];
        for (done, cursor) in at.done.iter_mut().zip(at.cursors) {
            *done |= cursor == 0;
        }
        let stream_done = stream == "-";
        at.stream = stream;
        if stream_done && at.done == [true; 3] {
            let next = (at.place + 1) % (SHARDS * queues.len()).max(1);
            *at = Tidying { place: next, ..Tidying::default() };
        }
        let id = |name: Vec<u8>| uuid::Uuid::from_slice(&name).ok().map(TaskId::from_uuid);
        Ok(names.into_iter().filter_map(id).collect())
    }
}
