//! `cardctl manifests pin`.

use std::path::PathBuf;

use card_manifests::{PinError, Pinned};
use serde::Serialize;

use super::images::{self, ImageArgs};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Write image digests into a kustomization.yaml
///
/// Changes only the entries of the given images. An entry that already has the digest is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests pin deploy --registry ghcr.io/ada/cards      pin the images built here and pushed there
  cardctl manifests pin deploy --image postgres=postgres:17.11@sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f
  cardctl manifests pin deploy --registry ghcr.io/ada/cards --check")]
pub(super) struct PinArgs {
    /// Directory of the kustomization.yaml
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    images: ImageArgs,
    /// Write nothing, and exit with code 12 if the file would change
    #[arg(long)]
    check: bool,
}

#[derive(Serialize)]
struct Document {
    file: PathBuf,
    changed: bool,
    images: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    reference: String,
}

pub(super) fn run(args: PinArgs, context: &Context) -> Result<Exit, Failure> {
    // What is only loaded somewhere has no digest that another cluster could pull.
    let wanted = match images::registry(&args.images, context)? {
        None => args.images.image.clone(),
        Some(_) => images::references(&args.images, context)?,
    };
    if wanted.is_empty() {
        return Err(Failure::new("no-image", Exit::NotReady, "there is no image to pin")
            .evidence("none is given, and none was built here and pushed to a --registry")
            .fix("cardctl images build, cardctl images push REGISTRY/PATH, then pin with --registry REGISTRY/PATH"));
    }
    let Pinned { file, changed, images } =
        card_manifests::pin(&args.directory, &wanted, !args.check).map_err(|error| failure(&error))?;
    let lines: Vec<_> = images.into_iter().map(|(name, image)| Line { name, reference: image.to_string() }).collect();
    let printer = &context.printer;
    let what = match (changed, args.check) {
        (false, _) => "unchanged",
        (true, false) => "changed",
        (true, true) => "differs",
    };
    printer.text(format!("{}: {what}", file.display()))?;
    for Line { name, reference } in &lines {
        printer.text(format!("  {name}  {reference}"))?;
    }
    printer.data(&Document { file, changed, images: lines })?;
    Ok(if changed && args.check { Exit::Differences } else { Exit::Done })
}

fn failure(error: &PinError) -> Failure {
    let failure = Failure::new("pin", Exit::Usage, error.to_string()).left("the file is unchanged");
    match error {
        PinError::Missing { .. } => failure.fix("name a directory with a kustomization.yaml"),
        PinError::File { .. } => Failure { exit: Exit::NotReady, ..failure }.fix("make the file readable and writable"),
        PinError::Wrong { .. } => failure.fix("correct the file; check it with kubectl kustomize"),
        PinError::Reference { .. } => failure.fix("cardctl images push prints references with their digests"),
    }
}
