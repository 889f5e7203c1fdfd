//! Images as they are shown.

use std::path::Path;

use card_images::{Image, Linkage, MultiPlatform, Platform};
use serde::Serialize;

use super::progress::megabytes;
use super::trouble::failure;
use crate::failure::Failure;

/// `images` of every document.
#[derive(Debug, Serialize)]
pub(super) struct ShownImage<'a> {
    component: &'a str,
    name: &'a str,
    reference: String,
    digest: &'a str,
    config_digest: &'a str,
    platform: Platform,
    size: u64,
    unpacked: u64,
    linkage: Linkage,
    archive: &'a Path,
    sbom: &'a Path,
    /// The archive is still there.
    present: bool,
}

/// `indexes`: names that stand for images of several platforms.
#[derive(Debug, Serialize)]
pub(super) struct ShownIndex {
    component: String,
    name: String,
    reference: String,
    digest: String,
    platforms: Vec<Platform>,
}

impl<'a> ShownImage<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        Self {
            component: &image.component,
            name: &image.name,
            reference: image.reference().tagged(),
            digest: image.manifest_digest.as_str(),
            config_digest: image.config_digest.as_str(),
            platform: image.platform,
            size: image.size,
            unpacked: image.unpacked,
            linkage: image.linkage,
            archive: &image.archive,
            sbom: &image.sbom,
            present: image.archive.is_file(),
        }
    }

    /// The cells of a table.
    pub(super) fn row(&self) -> Vec<String> {
        let state = if self.present { "" } else { "the archive is missing" };
        let size = megabytes(self.size);
        vec![self.reference.clone(), self.platform.to_string(), size, self.digest.to_owned(), state.to_owned()]
    }
}

pub(super) const HEAD: [&str; 5] = ["image", "platform", "size", "digest", ""];

pub(super) fn indexes(images: &[Image]) -> Result<Vec<ShownIndex>, Failure> {
    let shown = |index: MultiPlatform| ShownIndex {
        reference: index.reference().tagged(),
        digest: index.digest.to_string(),
        component: index.component,
        name: index.name,
        platforms: index.platforms,
    };
    Ok(MultiPlatform::of(images).map_err(failure)?.into_iter().map(shown).collect())
}
