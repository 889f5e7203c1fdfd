//! `cardctl images list`.

use std::path::PathBuf;

use serde::Serialize;

use super::place::store;
use super::shown::{self, ShownImage, ShownIndex};
use super::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// List the images that were built
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Directory of the images [default: target/images in the source tree, else the state directory]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document<'a> {
    directory: &'a std::path::Path,
    images: &'a [ShownImage<'a>],
    indexes: Vec<ShownIndex>,
}

pub(super) async fn run(args: ListArgs, context: &Context) -> Result<Exit, Failure> {
    let store = store(context, args.from.as_deref());
    let images = store.images().map_err(failure)?;
    let shown: Vec<_> = images.iter().map(ShownImage::new).collect();
    let printer = &context.printer;
    printer.data(&Document { directory: store.dir(), images: &shown, indexes: shown::indexes(&images)? })?;
    if shown.is_empty() {
        printer.say(format!("no images in {}; build them with cardctl images build", store.dir().display()));
    } else {
        printer.text(printer.list(&shown::HEAD, shown.iter().map(ShownImage::row).collect()))?;
    }
    Ok(Exit::Done)
}
