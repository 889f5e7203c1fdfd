//! The worker against the real embedded engine, and the issuer over real HTTP.

mod bed;
mod connections;
mod faulty;
mod scripted;
mod simulated;

mod cancelling;
mod issuer;
mod issuer_client;
mod meters;
mod replacement;
mod runner;
mod stopping;
mod trouble;
