//! Rings and lets go beside the callers: an accept is answered when it is on disk, whether Redis has heard of it or not.
//!
//! What can't be told is dropped: an offer that is lost, the sweep makes up for; a task that was not let go is let go when
//! its lease runs out and the next worker is told that it is final.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::messages;
use super::super::rows::SHARDS;
use super::{Delivery, QueueId, Ready, by_queue, by_shard};
use crate::ids::TaskId;

/// Tasks whose offers may wait. Beyond, they are left to the sweep.
const WAITING_LIMIT: usize = 100_000;
/// Told in one go.
const BATCH: usize = 1_000;

/// Between tries to tell others that they have missed something.
const PAUSE: Duration = Duration::from_millis(250);

/// A task that is to be let go.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Letting {
    pub(in super::super) shard: usize,
    pub(in super::super) queue: QueueId,
    pub(in super::super) task: TaskId,
}

/// The callers' end.
#[derive(Debug)]
pub(in super::super) struct Notifier {
    /// None once it is closed.
    senders: RwLock<Option<Senders>>,
}

#[derive(Debug)]
struct Senders {
    offers: mpsc::Sender<Ready>,
    lettings: mpsc::Sender<Letting>,
    /// A message for a channel of hints.
    messages: mpsc::Sender<(Channel, Vec<u8>)>,
}

/// See [`super::Keys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Channel {
    Logged,
    Running,
    Note,
}

impl Notifier {
    /// Starts the tasks that offer; they end with the notifier, when all that waits is told.
    pub(in super::super) fn start(delivery: &Arc<Delivery>) -> (Self, Vec<tokio::task::JoinHandle<()>>) {
        let (offers, mut waiting) = mpsc::channel::<Ready>(WAITING_LIMIT);
        let to = Arc::clone(delivery);
        let offering = tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                offer(&to, &batch).await;
                batch.clear();
            }
        });
        let (lettings, mut waiting) = mpsc::channel::<Letting>(WAITING_LIMIT);
        let to = Arc::clone(delivery);
        let letting = tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                let_go(&to, &batch).await;
                batch.clear();
            }
        });
        let (messages, mut waiting) = mpsc::channel::<(Channel, Vec<u8>)>(1_000);
        let to = Arc::clone(delivery);
        let telling = tokio::spawn(async move {
            while let Some((channel, message)) = waiting.recv().await {
                let keys = &to.keys;
                let name = match channel {
                    Channel::Logged => &keys.logged,
                    Channel::Running => &keys.running,
                    Channel::Note => &keys.note,
                };
                let mut told = to.publish(name, message).await.is_ok();
                while !told && !waiting.is_closed() {
                    sleep(PAUSE).await;
                    // Old news by now: when Redis is back, others are told only that they missed something.
                    while waiting.try_recv().is_ok() {}
                    told = to.publish(&keys.logged, messages::missed()).await.is_ok();
                }
            }
        });
        let senders = RwLock::new(Some(Senders { offers, lettings, messages }));
        (Self { senders }, vec![offering, letting, telling])
    }

    // In all of them: full or closed, the sweep finds it.

    pub(in super::super) fn offer(&self, ready: Ready) {
        self.send(|senders| {
            let _ = senders.offers.try_send(ready);
        });
    }

    pub(in super::super) fn let_go(&self, letting: Letting) {
        self.send(|senders| {
            let _ = senders.lettings.try_send(letting);
        });
    }

    pub(in super::super) fn tell(&self, channel: Channel, message: Vec<u8>) {
        self.send(|senders| {
            let _ = senders.messages.try_send((channel, message));
        });
    }

    fn send(&self, send: impl FnOnce(&Senders)) {
        if let Some(senders) = &*self.senders.read().unwrap_or_else(PoisonError::into_inner) {
            send(senders);
        }
    }

    /// Takes in no more; the tasks end when all that waits is told.
    pub(in super::super) fn close(&self) {
        self.senders.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

async fn offer(delivery: &Delivery, batch: &[Ready]) {
    if delivery.foreign.load(Ordering::Acquire) {
        return;
    }
    let mut calls = Vec::new();
    for (shard, tasks) in by_shard(batch, |ready| ready.identity.owner).into_iter().enumerate() {
        for (queue, tasks) in by_queue(tasks, |ready| ready.queue()) {
            calls.push(async move { delivery.offer(shard, queue, &tasks).await });
        }
    }
    for offered in join_all(calls).await {
        if let Err(error) = offered {
            tracing::debug!(%error, "tasks were not dispatched; the sweep will find them");
        }
    }
}

async fn let_go(delivery: &Delivery, batch: &[Letting]) {
    let mut places: HashMap<(usize, QueueId), Vec<TaskId>> = HashMap::new();
    for letting in batch {
        places.entry((letting.shard % SHARDS, letting.queue)).or_default().push(letting.task);
    }
    let calls = places.iter().map(|((shard, queue), tasks)| delivery.forget(*shard, *queue, tasks));
    for told in join_all(calls).await {
        if let Err(error) = told {
            tracing::debug!(%error, "tasks were not released; they will be when their leases expire");
        }
    }
}
