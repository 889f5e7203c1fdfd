//! The real program, as a person or a script meets it: exit code, stdout, stderr. Each test has its own directories and
//! leaves no process behind.

mod config;
mod help;
mod kill;
mod lifecycle;
mod output;
mod sandbox;
mod state;
mod usage;
mod wrapped;
