//! `cardctl version`.

use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Print the version
#[derive(Debug, clap::Args)]
pub struct VersionArgs {}

#[derive(Serialize)]
struct Document {
    version: &'static str,
}

/// Prints the version.
///
/// # Errors
/// stdout can't be written.
pub async fn run(_: VersionArgs, context: &Context) -> Result<Exit, Failure> {
    context.printer.data(&Document { version: card_core::VERSION })?;
    context.printer.text(format!("cardctl {}", card_core::VERSION))?;
    Ok(Exit::Done)
}
