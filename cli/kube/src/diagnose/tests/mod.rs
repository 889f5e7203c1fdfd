//! What is wrong with what does not start: as a real cluster said it, and as others say it.

mod recorded;
mod scenes;
