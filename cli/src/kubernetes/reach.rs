//! The way to the API of a platform in a cluster.

use super::Kind;
use crate::context::{Context, Endpoint};
use crate::exit::Exit;
use crate::failure::Failure;

/// A platform in a cluster, and what leads to its API as long as this is kept.
pub struct Reached {
    /// Where the API is from here.
    pub endpoint: Endpoint,
}

/// Opens the way.
///
/// # Errors
/// The cluster or the platform in it can't be reached.
pub async fn reach(kind: Kind, _context: &Context) -> Result<Reached, Failure> {
    Err(Failure::new("usage", Exit::Usage, format!("target {} is being built", kind.name())))
}
