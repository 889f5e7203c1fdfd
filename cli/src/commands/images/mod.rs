//! `cardctl images`: container images of the platform's binaries, made here.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Images: build, load, push, list, verify
#[derive(Debug, clap::Args)]
pub struct ImagesArgs {}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(_args: ImagesArgs, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::internal("not here yet"))
}
