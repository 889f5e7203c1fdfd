//! The program `card-server` as it is installed: real processes, real signals, real ports.

mod place;
mod running;

mod command_line;
mod issuer;
mod logs;
mod ports;
mod serving;
mod sharing;
mod stopping;
