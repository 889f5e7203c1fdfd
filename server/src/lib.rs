//! The HTTP API, the page, and the composition that runs server, workers and issuer in one process.

mod api;
mod app;
mod auth;
mod backlog;
mod cache;
mod follow;
mod fronts;
mod http;
mod openapi;
pub mod platform;
mod problem;
pub mod program;
mod routes;
mod sampler;
mod secrets;
mod sse;

pub use self::secrets::{Secrets, WeakSecret};
