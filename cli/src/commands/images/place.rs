//! Where images are kept, and which of them are meant.

use std::path::{Path, PathBuf};

use card_images::{Component, Image, Platform, Store, compile};

use super::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// In `dir` if one is named; else in the source tree, `target/images`, or in the state directory outside of one.
#[must_use]
pub fn store(context: &Context, dir: Option<&Path>) -> Store {
    Store::new(dir.map_or_else(|| default_directory(context), Path::to_owned))
}

fn default_directory(context: &Context) -> PathBuf {
    let tree = std::env::current_dir().ok().and_then(|here| compile::source_tree(&here));
    tree.map_or_else(|| context.instance.dir.join("images"), |tree| tree.join("target/images"))
}

/// Reads `server` or `card-server`.
pub(super) fn parse_component(text: &str) -> Result<Component, String> {
    Component::find(text).ok_or_else(|| {
        let names: Vec<_> = Component::ALL.into_iter().map(|known| known.name).collect();
        format!("no such image; known are {}", names.join(", "))
    })
}

/// Reads a platform.
pub(super) fn parse_platform(text: &str) -> Result<Platform, String> {
    text.parse()
        .map_err(|error: card_images::ImageError| format!("{error}; {}", error.fix.as_deref().unwrap_or_default()))
}

/// Which images of those that were built.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Directory of the images [default: target/images in the source tree, else the state directory]
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// Platform of the images, such as linux/arm64 [default: all]
    #[arg(long, value_name = "PLATFORM", value_parser = parse_platform)]
    pub(super) platform: Option<Platform>,
}

impl Which {
    /// Those that were built, of these names or of all, of every platform or of one.
    ///
    /// # Errors
    /// There are none, or one that is named was not built.
    pub(super) fn images(&self, context: &Context, names: &[Component]) -> Result<Vec<Image>, Failure> {
        let store = store(context, self.from.as_deref());
        let all = store.images().map_err(failure)?;
        let is_meant = |image: &Image| {
            (names.is_empty() || names.iter().any(|known| known.name == image.name))
                && self.platform.is_none_or(|platform| platform == image.platform)
        };
        let images: Vec<_> = all.into_iter().filter(is_meant).collect();
        let missing = names.iter().find(|known| !images.iter().any(|image| image.name == known.name));
        if let Some(known) = missing {
            return Err(not_built(&store, &format!("no image of {}", known.name)));
        }
        if images.is_empty() {
            let of = self.platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
            return Err(not_built(&store, &format!("no image{of}")));
        }
        Ok(images)
    }

    /// As [`Which::images`], one for each name: for the platform that was asked for, or else this machine's.
    ///
    /// # Errors
    /// As there, and none of them is for this machine.
    pub(super) fn for_one_platform(&self, context: &Context, names: &[Component]) -> Result<Vec<Image>, Failure> {
        let images = self.images(context, names)?;
        let host = self.platform.or_else(Platform::host);
        let kept: Vec<_> = images.iter().filter(|image| host == Some(image.platform)).cloned().collect();
        if kept.is_empty() {
            let there: Vec<_> = images.iter().map(|image| image.platform.to_string()).collect();
            return Err(Failure::new("not-built", Exit::NotReady, "there is no image for this machine's platform")
                .evidence(format!("there are images for {}", there.join(", ")))
                .fix("choose one with --platform"));
        }
        Ok(kept)
    }
}

fn not_built(store: &Store, what: &str) -> Failure {
    Failure::new("not-built", Exit::NotReady, format!("there is {what} in {}", store.dir().display()))
        .fix("cardctl images build")
}
