//! What was built, as later commands find it: `images.json` beside the archives.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};
use crate::platform::Platform;
use crate::reference::{Reference, Repository};
use crate::write;

pub use crate::index::MultiPlatform;

const FILE: &str = "images.json";
const VERSION: u32 = 1;

/// How a program finds its libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linkage {
    /// They are in it.
    Static,
    /// They are beside it.
    Dynamic,
}

/// An image that was built, and where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What it is in the platform: `server`, `worker`, `generator`.
    pub component: String,
    /// Of the image and of the program: `card-server`.
    pub name: String,
    /// What comes before the name.
    pub repository: Repository,
    /// What it runs on.
    pub platform: Platform,
    /// Of the manifest: the identity in a registry and in containerd.
    pub manifest_digest: Digest,
    /// In bytes.
    pub manifest_size: u64,
    /// Of the configuration: the identity in Docker and podman.
    pub config_digest: Digest,
    /// Of the layer as it is sent.
    pub layer_digest: Digest,
    /// Of the layer, not compressed.
    pub diff_id: Digest,
    /// Manifest, configuration and compressed layer, in bytes.
    pub size: u64,
    /// The layer not compressed, in bytes.
    pub unpacked: u64,
    /// How the program is linked.
    pub linkage: Linkage,
    /// Of the program.
    pub binary_digest: Digest,
    /// One tar that is an OCI layout and a docker-archive. Beside the catalog unless absolute.
    pub archive: PathBuf,
    /// Of the archive.
    pub archive_digest: Digest,
    /// CycloneDX, beside the catalog unless absolute.
    pub sbom: PathBuf,
    /// How the layer is written: another encoding is another digest.
    pub encoding: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    v: u32,
    images: Vec<Image>,
}

impl Image {
    /// `repository/name:sha-…`, made from the digest of the manifest.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference::new(&self.repository, &self.name, &self.manifest_digest)
    }

    /// The same image under another repository: its digests are the same.
    #[must_use]
    pub fn in_repository(&self, repository: &Repository) -> Self {
        Self { repository: repository.clone(), ..self.clone() }
    }
}

/// Reads the catalog of a directory; none that is there is an empty one. Paths come out absolute if `dir` is.
pub(crate) fn read(dir: &Path) -> Result<Vec<Image>, ImageError> {
    let path = dir.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImageError::read(&path, &error)),
    };
    let broken = |why: &dyn std::fmt::Display| {
        ImageError::new("catalog", ErrorKind::Environment, format!("{} is not a list of images", path.display()))
            .evidence(why)
            .fix(format!("rm {}, then cardctl images build", path.display()))
    };
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| broken(&error))?;
    if document.v != VERSION {
        return Err(broken(&format!("it has version {}, this program reads {VERSION}", document.v)));
    }
    let mut images = document.images;
    for image in &mut images {
        image.archive = dir.join(&image.archive);
        image.sbom = dir.join(&image.sbom);
    }
    Ok(images)
}

/// Puts an image in the place of the one of its name and platform. Who calls holds the store's lock.
pub(crate) fn put(dir: &Path, image: &Image) -> Result<(), ImageError> {
    // A list that can't be read is replaced: it is only a list, and the image that is new is right.
    let mut images = read(dir).unwrap_or_default();
    images.retain(|known| (&known.name, known.platform) != (&image.name, image.platform));
    images.push(image.clone());
    images.sort_by(|one, other| (&one.name, one.platform).cmp(&(&other.name, other.platform)));
    for image in &mut images {
        for path in [&mut image.archive, &mut image.sbom] {
            if let Ok(beside) = path.strip_prefix(dir) {
                *path = beside.to_owned();
            }
        }
    }
    let document = Document { v: VERSION, images };
    let bytes = serde_json::to_vec_pretty(&document).map_err(ImageError::internal)?;
    write::whole(&dir.join(FILE), &bytes)
}
