//! What is in an archive or a layout, for who verifies or sends it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use bytes::Bytes;

use super::{INDEX, LAYOUT};
use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};

/// Images of ours are a hundredth of it.
const LARGEST: u64 = 2 << 30;

/// Files by their path, `/` between the parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    pub(crate) files: BTreeMap<String, Bytes>,
}

impl Contents {
    /// An archive, or a directory that is an OCI layout.
    pub(crate) fn read(path: &Path) -> Result<Self, ImageError> {
        let is_directory = std::fs::metadata(path).map_err(|error| ImageError::read(path, &error))?.is_dir();
        if is_directory { Self::of_directory(path) } else { Self::of_archive(path) }
    }

    fn of_archive(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(|error| ImageError::read(path, &error))?;
        Self::of_tar(io::BufReader::new(file))
            .map_err(|error| broken(path).evidence(format!("as a tar it can't be read: {error}")))
    }

    fn of_tar(reader: impl Read) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        let mut total = 0;
        for entry in tar::Archive::new(reader).entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let size = entry.size();
            total += size;
            if total > LARGEST {
                return Err(io::Error::other("it is larger than 2 GiB"));
            }
            let parts: Vec<_> = entry
                .path()?
                .components()
                .filter_map(|part| match part {
                    Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                    _ => None,
                })
                .collect();
            // Not with the size that the header claims: nothing that was read stands behind it yet.
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if bytes.len() as u64 != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            files.insert(parts.join("/"), bytes.into());
        }
        Ok(Self { files })
    }

    fn of_directory(dir: &Path) -> Result<Self, ImageError> {
        let mut files = BTreeMap::new();
        let read = |path: &Path| std::fs::read(path).map(Bytes::from).map_err(|error| ImageError::read(path, &error));
        for name in [LAYOUT, INDEX] {
            let path = dir.join(name);
            if path.exists() {
                files.insert(name.to_owned(), read(&path)?);
            }
        }
        let blobs = dir.join("blobs/sha256");
        for entry in std::fs::read_dir(&blobs).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                files.insert(format!("blobs/sha256/{name}"), read(&entry.path())?);
            }
        }
        if files.is_empty() {
            return Err(broken(dir).evidence("it has no oci-layout, index.json or blobs/"));
        }
        Ok(Self { files })
    }

    /// A blob's bytes, whatever their digest really is.
    pub(crate) fn blob(&self, digest: &Digest) -> Option<&Bytes> {
        self.files.get(&super::blob(digest))
    }
}

fn broken(path: &Path) -> ImageError {
    ImageError::new("not-an-image", ErrorKind::Different, format!("{} is not a whole image archive", path.display()))
        .fix("cardctl images build")
}
