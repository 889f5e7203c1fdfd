//! One file for each step: what is tried, and what must come of it.

pub(super) mod authorisation;
pub(super) mod clean;
pub(super) mod dead_letter;
pub(super) mod exclusivity;
pub(super) mod fresh_reads;
pub(super) mod fronts;
pub(super) mod idempotency;
pub(super) mod load;
pub(super) mod purchase;
pub(super) mod ready;
pub(super) mod resume;
pub(super) mod watch;
