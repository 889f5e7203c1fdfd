//! One module for each command: `XArgs` and `run(args, context)`.

pub mod down;
pub mod env;
pub mod up;
pub mod version;
