//! The names of everything in Redis. All keys of a shard carry its hash tag, so that scripts find them on one node of a
//! cluster; the tag holds the prefix as well, or platforms that share a cluster would share its slots.

use std::sync::OnceLock;

use redis::ScriptInvocation;

use super::super::rows::SHARDS;
use super::QueueId;

#[derive(Debug)]
pub(in super::super) struct Keys {
    prefix: String,
    /// By shard, then by queue; made when they are first used.
    places: Vec<OnceLock<Box<Place>>>,
    /// Says which shard and queue has news for claimers.
    pub(in super::super) offered: String,
    /// Says which tasks the log has news of.
    pub(in super::super) logged: String,
    /// Carries tasks that are being run.
    pub(in super::super) running: String,
    /// Says that something rare changed: look at the ledger.
    pub(in super::super) note: String,
}

/// The keys of one queue in one shard.
#[derive(Debug)]
pub(in super::super) struct Place {
    pub(in super::super) stream: String,
    pub(in super::super) waiting: String,
    pub(in super::super) held: String,
    pub(in super::super) leases: String,
}

impl Place {
    /// The keys that most scripts take, in their order.
    pub(in super::super) fn of(&self, call: &mut ScriptInvocation<'_>) {
        call.key(&self.stream).key(&self.waiting).key(&self.held).key(&self.leases);
    }
}

impl Keys {
    pub(in super::super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            places: (0..SHARDS * QueueId::COUNT).map(|_| OnceLock::new()).collect(),
            offered: format!("{prefix}:rung"),
            logged: format!("{prefix}:logged"),
            running: format!("{prefix}:running"),
            note: format!("{prefix}:note"),
        }
    }

    pub(in super::super) fn place(&self, shard: usize, queue: QueueId) -> &Place {
        let shard = shard % SHARDS;
        self.places[shard * QueueId::COUNT + usize::from(queue.number())].get_or_init(|| {
            let name = |what: &str| format!("{{{}:s{shard:02}}}:{what}:{queue}", self.prefix);
            let (stream, waiting) = (name("tasks"), name("waiting"));
            Box::new(Place { stream, waiting, held: name("held"), leases: name("leases") })
        })
    }

    /// Who sweeps.
    pub(in super::super) fn sweeper(&self) -> String {
        format!("{}:sweeper", self.prefix)
    }

    /// Workers and when they were last seen.
    pub(in super::super) fn workers(&self) -> String {
        format!("{}:workers", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Priority;

    #[test]
    fn every_key_of_a_shard_has_its_tag_and_no_two_are_the_same() {
        let keys = Keys::new("card");
        let mut all = std::collections::HashSet::new();
        let queues = || (0..=u8::MAX).flat_map(|kind| Priority::ALL.map(|priority| QueueId::new(kind, priority)));
        for (number, queue) in (0..SHARDS).flat_map(|number| queues().map(move |queue| (number, queue))) {
            let Place { stream, waiting, held, leases } = keys.place(number, queue);
            for key in [stream, waiting, held, leases] {
                assert!(key.starts_with(&format!("{{card:s{number:02}}}:")), "{key}");
                assert!(all.insert(key), "{key}");
            }
        }
    }
}
