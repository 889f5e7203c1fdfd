//! Load tests: what is asked of a platform, the load, what was measured, and what that means.
//!
//! ```text
//! plan ─► run ──(journeys, by card_client)──► platform
//!          │
//!          └─► meters, samples, audit ─► shard ─► result ─► judge, compare ─► report
//! ```
//!
//! It knows the platform by its API alone, nothing of terminals, and not where files lie.

pub mod compare;
pub mod generate;
pub mod journeys;
pub mod judge;
pub mod meter;
pub mod moment;
pub mod plan;
pub mod report;
pub mod result;
pub mod run;
pub mod shard;
pub mod share;
