//! The scripts, each on the keys of one shard, so that they run on whichever node has it. Each says in its file what it
//! takes and answers.

use redis::Script;

pub(in super::super) struct Scripts {
    pub(super) ring: Script,
    pub(super) claim: Script,
    pub(super) extend: Script,
    pub(super) adopt: Script,
    pub(super) forget: Script,
    pub(super) figures: Script,
    pub(super) turn: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            ring: Script::new(include_str!("scripts/ring.lua")),
            claim: Script::new(include_str!("scripts/claim.lua")),
            extend: Script::new(include_str!("scripts/extend.lua")),
            adopt: Script::new(include_str!("scripts/adopt.lua")),
            forget: Script::new(include_str!("scripts/forget.lua")),
            figures: Script::new(include_str!("scripts/figures.lua")),
            turn: Script::new(include_str!("scripts/turn.lua")),
        }
    }
}
