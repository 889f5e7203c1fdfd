//! One module for each command: `XArgs` and `run(args, context)`.

pub mod version;
