//! `cardctl images push`.

use std::path;
use std::sync::Arc;

use card_core::files::{self, Distrust};
use card_images::push::{self, Event, Place, Pushed, Watch};
use card_images::{Component, Image, Platform};
use serde::Serialize;

use super::place::{Which, parse_component};
use super::progress::{Doing, megabytes};
use super::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const PASSWORD_FILE: &str = "CARDCTL_REGISTRY_PASSWORD_FILE";

/// Push images to a registry, except for layers that it already has
///
/// Prints each pushed image as name@digest. Images for several platforms get an index. Credentials come from
/// CARDCTL_REGISTRY_USERNAME and CARDCTL_REGISTRY_PASSWORD (or CARDCTL_REGISTRY_PASSWORD_FILE), or from `docker login`.
/// Plain HTTP is used for registries on this machine only.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl images push ghcr.io/ada/cards
  cardctl images push localhost:5000/cards server worker")]
pub(super) struct PushArgs {
    /// Registry and repository path
    #[arg(value_name = "REGISTRY/PATH")]
    place: String,
    /// Images to push: server, worker, generator, or the names of their binaries [default: all that were built]
    #[arg(value_name = "NAME", value_parser = parse_component)]
    names: Vec<Component>,
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Document {
    registry: String,
    images: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    component: String,
    reference: String,
    digest: String,
    pinned: String,
    platforms: Vec<Platform>,
    sent: u64,
    present: u64,
}

impl From<Pushed> for Line {
    fn from(Pushed { component, reference, platforms, sent, present }: Pushed) -> Self {
        Self {
            component,
            reference: reference.tagged(),
            digest: reference.digest.to_string(),
            pinned: reference.pinned(),
            platforms,
            sent,
            present,
        }
    }
}

pub(super) async fn run(args: PushArgs, context: &Context) -> Result<Exit, Failure> {
    let place: Place = args.place.parse().map_err(failure)?;
    let images = args.which.images(context, &args.names)?;
    let lines: Vec<_> = push_all(context, &images, &place).await?.into_iter().map(Line::from).collect();
    for line in &lines {
        context.printer.step(format!(
            "{}: {} sent, {} already there",
            line.reference,
            megabytes(line.sent),
            megabytes(line.present)
        ));
        context.printer.text(&line.pinned)?;
    }
    context.printer.data(&Document { registry: place.registry, images: lines })?;
    Ok(Exit::Done)
}

/// Who may push there. A file with a password that others can read is refused.
///
/// # Errors
/// That, or what is given can't be used.
pub(super) async fn credentials(registry: &str) -> Result<Option<push::Credentials>, Failure> {
    if let Some(file) = std::env::var_os(PASSWORD_FILE).filter(|file| !file.is_empty())
        && let Err(error) = files::check_named_secret(path::Path::new(&file))
        && let Some(distrust) = Distrust::of(&error)
    {
        return Err(Failure::new("credentials", Exit::NotReady, "the registry's password can't be used")
            .evidence(format!("${PASSWORD_FILE}: {distrust}"))
            .fix(distrust.fix.as_str()));
    }
    push::credentials(registry, |name| std::env::var_os(name)).await.map_err(failure)
}

/// Pushes images, and shows how far it is.
///
/// # Errors
/// The registry does not take one, or the command was interrupted.
pub async fn push_all(context: &Context, images: &[Image], place: &Place) -> Result<Vec<Pushed>, Failure> {
    let credentials = credentials(&place.registry).await?;
    // Dropped, it takes the bar off the terminal.
    let watch = watch(Doing::new(&context.printer));
    tokio::select! {
        pushed = push::push(images, place, credentials.as_ref(), &watch) => pushed.map_err(failure),
        () = context.stop.cancelled() => Err(context.interruption().left("blobs that were uploaded stay in the registry")),
    }
}

fn watch(doing: Doing) -> Watch {
    Arc::new(move |event| match event {
        Event::Blob { name, digest, size, present } => {
            let what = if present { "is there" } else { "is sent" };
            doing.bytes(size, format!("{name}: {} {what}", digest.short()));
        }
        Event::Sent(bytes) => doing.more(bytes),
        Event::Again(why) => doing.at(format!("retrying: {why}")),
    })
}
