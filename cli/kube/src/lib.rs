//! What cardctl does to a Kubernetes cluster, and what it reads there: apply, prune, wait, explain, forward.
//!
//! It knows objects and their states, not the platform that they make up: which objects there are is `card-manifests`'
//! affair, what a user is told is the command line's.

pub mod diagnose;
pub mod logs;
mod object;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wait;

pub use self::object::ObjectRef;
