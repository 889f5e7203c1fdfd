//! Logs and metrics: what leaves the process about itself.
//!
//! Everything that is logged goes through [`mask`]: card numbers, e-mail addresses, phone numbers, passwords and
//! tokens don't reach a log (P7).

mod component;
pub mod logs;
pub mod mask;
pub mod metrics;
