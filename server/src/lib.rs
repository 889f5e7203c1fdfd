//! The HTTP API, the page, and the composition that runs server, workers and issuer in one process.

pub mod platform;
mod secrets;

pub use self::secrets::{Secrets, WeakSecret};
