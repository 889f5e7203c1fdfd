//! One attempt at a task: the few facts of a claim that outlive its payload.

use card_core::engine::{Claim, Lease};
use card_core::tasks::Kind;
use card_core::time::Instant;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) lease: Lease,
    pub(super) kind: Kind,
    /// From 1.
    pub(super) number: u32,
    pub(super) accepted_at: Instant,
    pub(super) started_at: Instant,
}

impl Attempt {
    pub(super) fn of(claim: &Claim) -> Self {
        Self {
            lease: claim.lease,
            kind: claim.kind,
            number: claim.attempt,
            accepted_at: claim.accepted_at,
            started_at: claim.started_at,
        }
    }
}
