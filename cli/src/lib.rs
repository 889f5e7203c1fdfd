//! The command line: one file for each command, one [`output::Printer`] through which all of them speak, one
//! [`context::Context`] with what they need to know.

pub mod args;
pub mod client;
pub mod cluster;
pub mod codes;
pub mod commands;
pub mod context;
pub mod failure;
pub mod fronts;
pub mod instance;
pub mod kubernetes;
pub mod minikube;
pub mod output;
pub mod program;
pub mod project;
pub mod secret;
pub mod supervisor;
pub mod usage;
