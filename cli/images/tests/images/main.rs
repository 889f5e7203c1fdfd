//! Images as whole files: made, found again, damaged, sent.

mod build;
mod push;
mod registry;
mod token;
mod verify;
mod workshop;
