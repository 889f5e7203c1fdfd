//! Finding what Redis holds and the ledger does not: what is left over of tasks that are final or gone, as when Redis
//! came back from an old dump. It would be handed out for nothing, and take the room of others.

use redis::RedisResult;

use super::super::rows::SHARDS;
use super::Delivery;
use crate::ids::TaskId;
use crate::tasks::Kind;

/// How far the walk through all that Redis holds has come.
#[derive(Debug)]
pub(in super::super) struct Tidying {
    /// Which shard and kind.
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
    pub(in super::super) fn place(&self) -> (usize, Kind) {
        (self.place / Kind::ALL.len() % SHARDS, Kind::ALL[self.place % Kind::ALL.len()])
    }

    /// Whether the walk is at its beginning.
    pub(in super::super) fn is_at_start(&self) -> bool {
        self.place == 0 && self.stream == "-" && self.done == [false; 3]
    }
}

impl Delivery {
    /// Removes what belongs to no task from a part of one place, and answers the tasks that are in that part; moves on.
    pub(in super::super) async fn tidy(&self, at: &mut Tidying, count: usize) -> RedisResult<Vec<TaskId>> {
        let (shard, kind) = at.place();
        let mut call = self.scripts.tidy.prepare_invoke();
        self.keys.place(shard, kind).of(&mut call);
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
            *at = Self::next(at.place);
        }
        let id = |name: Vec<u8>| uuid::Uuid::from_slice(&name).ok().map(TaskId::from_uuid);
        Ok(names.into_iter().filter_map(id).collect())
    }

    fn next(place: usize) -> Tidying {
        Tidying { place: (place + 1) % (SHARDS * Kind::ALL.len()), ..Tidying::default() }
    }
}
