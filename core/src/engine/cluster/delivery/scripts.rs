//! The scripts, each on the keys of one shard, so that they run on whichever node has it. Each says in its file what it
//! takes and answers.

use redis::Script;

pub(in super::super) struct Scripts {
    pub(super) offer: Script,
    pub(super) check: Script,
    pub(super) claim: Script,
    pub(super) extend: Script,
    pub(super) adopt: Script,
    pub(super) forget: Script,
    pub(super) tidy: Script,
    pub(super) holders: Script,
    pub(super) turn: Script,
}

/// A script with what all of them have in common. When Redis is full, only `offer` is refused: the others need little, and
/// must go on, or nothing would ever be worked off and make room.
macro_rules! script {
    ($name:literal, $flags:literal) => {
        Script::new(concat!(
            $flags,
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
    ($name:literal) => {
        script!($name, "#!lua flags=allow-oom\n")
    };
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            offer: script!("offer", "#!lua\n"),
            check: script!("check"),
            claim: script!("claim"),
            extend: script!("extend"),
            adopt: script!("adopt"),
            forget: script!("forget"),
            tidy: script!("tidy"),
            holders: script!("holders"),
            turn: script!("turn"),
        }
    }
}
