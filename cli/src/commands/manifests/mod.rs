//! `cardctl manifests`: the Kubernetes manifests.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Manifests: render, diff, apply, validate, pin
#[derive(Debug, clap::Args)]
pub struct ManifestsArgs {}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(_args: ManifestsArgs, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::internal("not here yet"))
}
