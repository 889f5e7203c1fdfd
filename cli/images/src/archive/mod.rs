//! One tar that is an OCI layout and a docker-archive at once: `oci-layout` and `index.json` for the one, `manifest.json`
//! for the other, the same blobs for both.

mod read;

use std::path::{Path, PathBuf};

use oci_spec::image::Descriptor;
use serde_json::json;
use tar::Builder;

pub(crate) use self::read::Contents;
use crate::assemble::Assembled;
use crate::catalog::Image;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::metadata::{self, canonical};
use crate::reference::Reference;
use crate::rootfs;

pub(crate) const LAYOUT: &str = "oci-layout";
pub(crate) const INDEX: &str = "index.json";
pub(crate) const DOCKER: &str = "manifest.json";
const BLOBS: &str = "blobs/sha256";
/// What containerd, and Docker with its image store, name an image after.
const FULL_NAME: &str = "io.containerd.image.name";
const TAG: &str = "org.opencontainers.image.ref.name";

pub(crate) fn blob(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

pub(crate) fn layout_marker() -> Result<Vec<u8>, ImageError> {
    canonical(&json!({ "imageLayoutVersion": "1.0.0" }))
}

/// An image in the index of a layout, under its name.
pub(crate) fn named(image: &Image) -> Result<Descriptor, ImageError> {
    let mut descriptor = metadata::entry(image.platform, &image.manifest_digest, image.manifest_size)?;
    name(&mut descriptor, image.reference());
    Ok(descriptor)
}

pub(crate) fn name(descriptor: &mut Descriptor, reference: Reference) {
    let names = [(FULL_NAME, reference.full()), (TAG, reference.tag)];
    descriptor.set_annotations(Some(names.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()));
}

/// The archive of an image.
pub(crate) fn tar(image: &Image, assembled: &Assembled) -> Result<Vec<u8>, ImageError> {
    let docker = json!([{
        "Config": blob(&image.config_digest),
        "RepoTags": [image.reference().tagged()],
        "Layers": [blob(&image.layer_digest)],
    }]);
    let index = metadata::index([named(image)?])?;
    let mut files: Vec<(PathBuf, &[u8])> = vec![
        (blob(&image.layer_digest).into(), &assembled.layer),
        (blob(&image.config_digest).into(), &assembled.config),
        (blob(&image.manifest_digest).into(), &assembled.manifest),
    ];
    let (docker, marker) = (canonical(&docker)?, layout_marker()?);
    files.extend([(INDEX.into(), &*index), (DOCKER.into(), &*docker), (LAYOUT.into(), &*marker)]);
    files.sort();
    let mut tar = Builder::new(Vec::with_capacity(assembled.layer.len() + (1 << 16)));
    let write = |tar: &mut Builder<Vec<u8>>| {
        for dir in ["blobs", BLOBS] {
            rootfs::append(tar, Path::new(dir), 0o755, true, &[])?;
        }
        files.iter().try_for_each(|(path, bytes)| rootfs::append(tar, path, 0o644, false, bytes))
    };
    write(&mut tar).and_then(|()| tar.into_inner()).map_err(ImageError::internal)
}
