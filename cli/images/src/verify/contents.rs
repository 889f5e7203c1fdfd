//! An archive or a layout, by itself.

use std::collections::BTreeSet;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Difference, Verified};
use crate::archive::{self, Contents, DOCKER, INDEX, LAYOUT};
use crate::digest::Digest;
use crate::layer;

/// One image of a docker-archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Docker {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

pub(super) fn verify(contents: &Contents) -> Verified {
    let mut check = Check { contents, seen: BTreeSet::new(), bytes: 0, differences: Vec::new() };
    check.marker();
    let index: Option<ImageIndex> = check.document(INDEX, contents.files.get(INDEX).map(|bytes| &bytes[..]));
    for descriptor in index.iter().flat_map(ImageIndex::manifests) {
        check.named(descriptor);
    }
    if contents.files.contains_key(DOCKER) {
        check.docker();
    }
    for path in contents.files.keys().filter(|path| path.starts_with("blobs/")) {
        if !check.seen.contains(path) {
            check.differences.push(Difference::new(path, "to be named by a manifest", "nothing names it"));
        }
    }
    Verified { blobs: check.seen.len(), bytes: check.bytes, differences: check.differences }
}

struct Check<'a> {
    contents: &'a Contents,
    seen: BTreeSet<String>,
    bytes: u64,
    differences: Vec<Difference>,
}

impl<'a> Check<'a> {
    fn differ(
        &mut self,
        subject: impl std::fmt::Display,
        expected: impl std::fmt::Display,
        actual: impl std::fmt::Display,
    ) {
        self.differences.push(Difference::new(subject, expected, actual));
    }

    fn document<T: DeserializeOwned>(&mut self, name: &str, bytes: Option<&[u8]>) -> Option<T> {
        let read = bytes.ok_or_else(|| "nothing".to_owned());
        match read.and_then(|bytes| serde_json::from_slice(bytes).map_err(|error| error.to_string())) {
            Ok(document) => Some(document),
            Err(found) => {
                self.differ(name, "a document", found);
                None
            }
        }
    }

    fn marker(&mut self) {
        let marker: Option<Marker> = self.document(LAYOUT, self.contents.files.get(LAYOUT).map(|bytes| &bytes[..]));
        if let Some(marker) = marker.filter(|marker| marker.image_layout_version != "1.0.0") {
            self.differ(LAYOUT, "1.0.0", marker.image_layout_version);
        }
    }

    /// A manifest of the index; its tag, if it is one of ours, is made from its digest.
    fn named(&mut self, descriptor: &Descriptor) {
        for name in descriptor.annotations().iter().flat_map(|annotations| annotations.values()) {
            self.tag(name.rsplit(':').next().unwrap_or(name), descriptor.digest().as_ref());
        }
        self.manifest(descriptor);
    }

    fn tag(&mut self, tag: &str, digest: &str) {
        let Some(short) = tag.strip_prefix("sha-") else { return };
        if !digest.trim_start_matches("sha256:").starts_with(short) {
            self.differ(format_args!("the tag {tag}"), format_args!("a manifest that begins with {short}"), digest);
        }
    }

    fn manifest(&mut self, descriptor: &Descriptor) {
        let name = descriptor.digest().to_string();
        let Some(bytes) = self.blob(descriptor) else { return };
        if descriptor.media_type() == &MediaType::ImageIndex {
            let index: Option<ImageIndex> = self.document(&name, Some(bytes));
            index.iter().flat_map(ImageIndex::manifests).for_each(|inner| self.manifest(inner));
            return;
        }
        let Some(manifest) = self.document::<ImageManifest>(&name, Some(bytes)) else { return };
        let config = self.blob(manifest.config());
        let config: Option<ImageConfiguration> =
            config.and_then(|bytes| self.document(manifest.config().digest().as_ref(), Some(bytes)));
        let diff_ids: Vec<String> = config.map(|config| config.rootfs().diff_ids().clone()).unwrap_or_default();
        if diff_ids.len() != manifest.layers().len() {
            self.differ(
                &name,
                format_args!("{} layers, as its configuration says", diff_ids.len()),
                manifest.layers().len(),
            );
        }
        for (layer, diff_id) in manifest.layers().iter().zip(diff_ids) {
            if let Some(bytes) = self.blob(layer) {
                let subject = format!("{}, unpacked", layer.digest());
                match layer::unpacked(bytes) {
                    Ok((digest, _)) if digest.as_str() == diff_id => {}
                    Ok((digest, _)) => self.differ(subject, diff_id, digest),
                    Err(error) => self.differ(subject, diff_id, error),
                }
            }
        }
    }

    /// The bytes of a blob, whose size and digest are looked at once.
    fn blob(&mut self, descriptor: &Descriptor) -> Option<&'a [u8]> {
        let name = descriptor.digest().to_string();
        let Some(digest) = Digest::parse(&name) else {
            self.differ(&name, "a SHA-256 digest", "another");
            return None;
        };
        let Some(bytes) = self.contents.blob(&digest) else {
            self.differ(&name, "a blob", "nothing");
            return None;
        };
        if self.seen.insert(archive::blob(&digest)) {
            self.bytes += bytes.len() as u64;
            if bytes.len() as u64 != descriptor.size() {
                self.differ(&name, format_args!("{} bytes", descriptor.size()), format_args!("{} bytes", bytes.len()));
            }
            let actual = Digest::of(bytes);
            if actual != digest {
                self.differ(&name, &digest, actual);
            }
        }
        Some(bytes)
    }

    /// What Docker reads: it must name the same blobs as the index does.
    fn docker(&mut self) {
        let images: Vec<Docker> =
            self.document(DOCKER, self.contents.files.get(DOCKER).map(|bytes| &bytes[..])).unwrap_or_default();
        let manifest =
            self.contents.files.get(INDEX).and_then(|bytes| serde_json::from_slice::<ImageIndex>(bytes).ok());
        let digest = manifest.and_then(|index| Some(index.manifests().first()?.digest().to_string()));
        for image in images {
            for path in image.layers.iter().chain([&image.config]) {
                if !self.seen.contains(path) {
                    self.differ(DOCKER, "only blobs of the manifest", path);
                }
            }
            for tag in &image.repo_tags {
                self.tag(tag.rsplit(':').next().unwrap_or(tag), digest.as_deref().unwrap_or_default());
            }
        }
    }
}
