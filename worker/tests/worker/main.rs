//! The worker against the real embedded engine, and the bureau over real HTTP.

mod bed;
mod bureau;
mod connections;
mod faulty;
mod scripted;

mod cancelling;
mod issuer;
mod issuer_client;
mod meters;
mod replacement;
mod runner;
mod stopping;
mod trouble;
