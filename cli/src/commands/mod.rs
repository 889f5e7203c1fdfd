//! One module for each command: `XArgs` and `run(args, context)`.

pub mod completions;
pub mod config;
pub mod demo;
pub mod dlq;
pub mod doctor;
pub mod down;
pub mod env;
pub mod help;
pub mod images;
pub mod loadtest;
pub mod logs;
pub mod man;
pub mod manifests;
pub mod purchases;
pub mod queue;
pub mod scale;
pub mod smoke;
pub mod status;
pub mod submit;
pub mod tasks;
pub mod up;
pub mod users;
pub mod version;
pub mod watch;
