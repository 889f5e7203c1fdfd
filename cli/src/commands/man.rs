//! `cardctl man`.

use std::path::PathBuf;

use serde::Serialize;

use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Write the manual pages into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl man ~/.local/share/man/man1    write them where man finds them")]
pub struct ManArgs {
    /// Output directory, created if missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Serialize)]
struct Document<'a> {
    dir: &'a PathBuf,
    pages: usize,
}

/// Runs it.
///
/// # Errors
/// The directory can't be written.
pub async fn run(args: ManArgs, context: &Context) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new("directory", Exit::NotReady, format!("the pages can't be written: {error}"))
            .evidence(args.dir.display())
            .fix("name a directory that you can write to")
    };
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(args::command(), &args.dir).map_err(failed)?;
    let pages = std::fs::read_dir(&args.dir).map_err(failed)?.count();
    context.printer.data(&Document { dir: &args.dir, pages })?;
    context.printer.text(format!("{pages} pages in {}", args.dir.display()))?;
    Ok(Exit::Done)
}
