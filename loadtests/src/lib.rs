//! Load, the sender-side ledger and the audit that decides whether the platform kept its word.
//!
//! ```text
//! identities ─► sender ──HTTP──► platform ──SSE──► events ─► observer ─┐
//!    orders ─►    │                                                    ├─► audit ─► verdict
//!                 └─► ledger (what was accepted, by the sender) ───────┘
//! ```
//!
//! Owns the one HTTP and SSE [`client`] of the API, which the command line uses too. It knows nothing of terminals
//! and exit codes.

pub mod audit;
pub mod client;
pub mod compare;
pub mod events;
pub mod generate;
pub mod identities;
pub mod journeys;
pub mod judge;
pub mod latency;
pub mod ledger;
pub mod meter;
pub mod moment;
pub mod observer;
pub mod orders;
pub mod plan;
pub mod recorded;
pub mod report;
pub mod result;
pub mod retries;
pub mod run;
pub mod sender;
pub mod shard;
pub mod share;
