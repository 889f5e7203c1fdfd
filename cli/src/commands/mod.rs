//! One module for each command: `XArgs` and `run(args, context)`.

pub mod completions;
pub mod config;
pub mod doctor;
pub mod down;
pub mod env;
pub mod help;
pub mod logs;
pub mod man;
pub mod status;
pub mod up;
pub mod version;
