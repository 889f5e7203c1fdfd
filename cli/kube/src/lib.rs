//! What is done to a Kubernetes cluster, and what is read there: apply, prune, wait, explain, forward.
//!
//! It knows objects and their states, not the platform that they make up: which objects there are is `card-manifests`'
//! affair, what a user is told is the command line's, and under which name they are owned is the caller's ([`Owner`]).

pub mod apply;
pub mod cluster;
mod compare;
pub mod diagnose;
pub mod diff;
pub mod down;
mod fields;
pub mod forward;
pub mod inventory;
pub mod logs;
pub mod namespace;
mod object;
mod owner;
pub mod prune;
mod remove;
pub mod secret;
mod stage;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wait;

pub use self::object::ObjectRef;
pub use self::owner::Owner;
pub use self::remove::{Held, Removal};

/// The first twelve digits of the SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    let mut text = hex::encode(sha2::Sha256::digest(bytes));
    text.truncate(12);
    text
}
