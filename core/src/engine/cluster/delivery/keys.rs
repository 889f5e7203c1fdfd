//! The names of everything in Redis. All keys of a shard carry its hash tag, so that scripts find them on one node of a
//! cluster; the tag holds the prefix as well, or platforms that share a cluster would share its slots.

use super::super::rows::{SHARDS, kind_code};
use crate::tasks::Kind;

#[derive(Debug)]
pub(in super::super) struct Keys {
    prefix: String,
    shards: Vec<Shard>,
    /// Says which shard and kind has news for claimers.
    pub(in super::super) rung: String,
    /// Says which tasks the log has news of.
    pub(in super::super) logged: String,
    /// Carries tasks that are being run.
    pub(in super::super) running: String,
    /// Says that something rare changed: look at the ledger.
    pub(in super::super) note: String,
}

#[derive(Debug)]
pub(in super::super) struct Shard {
    pub(in super::super) known: String,
    pub(in super::super) held: String,
    pub(in super::super) inflight: String,
    /// By kind code.
    pub(in super::super) streams: Vec<String>,
    pub(in super::super) leases: Vec<String>,
}

impl Keys {
    pub(in super::super) fn new(prefix: &str) -> Self {
        let shard = |number: usize| {
            let name = |what: &str| format!("{{{prefix}:s{number:02}}}:{what}");
            let by_kind = |what: &str| Kind::ALL.map(|kind| name(&format!("{what}:{}", kind_code(kind)))).to_vec();
            Shard {
                known: name("known"),
                held: name("held"),
                inflight: name("inflight"),
                streams: by_kind("tasks"),
                leases: by_kind("leases"),
            }
        };
        Self {
            prefix: prefix.to_owned(),
            shards: (0..SHARDS).map(shard).collect(),
            rung: format!("{prefix}:rung"),
            logged: format!("{prefix}:logged"),
            running: format!("{prefix}:running"),
            note: format!("{prefix}:note"),
        }
    }

    pub(in super::super) fn shard(&self, number: usize) -> &Shard {
        &self.shards[number % SHARDS]
    }

    pub(in super::super) fn shards(&self) -> &[Shard] {
        &self.shards
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

    #[test]
    fn every_key_of_a_shard_has_its_tag_and_kinds_are_in_the_order_of_their_codes() {
        let keys = Keys::new("card");
        for (number, shard) in keys.shards().iter().enumerate() {
            let all =
                [&shard.known, &shard.held, &shard.inflight].into_iter().chain(&shard.streams).chain(&shard.leases);
            assert!(all.into_iter().all(|key| key.starts_with(&format!("{{card:s{number:02}}}:"))));
            for (code, stream) in shard.streams.iter().enumerate() {
                assert!(stream.ends_with(&format!(":{code}")), "scripts find a kind's keys by its code");
            }
        }
    }
}
