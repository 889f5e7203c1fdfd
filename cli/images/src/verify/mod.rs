//! Whether what is there is what it should be: every digest is computed again.

mod contents;
mod registry;

use std::fmt;
use std::path::Path;

use serde::Serialize;

pub use self::registry::registry;
use crate::archive::Contents;
use crate::catalog::Image;
use crate::error::ImageError;

/// Something that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: a blob, a file, a digest.
    pub subject: String,
    /// What it should be.
    pub expected: String,
    pub actual: String,
}

impl Difference {
    pub(crate) fn new(subject: impl fmt::Display, expected: impl fmt::Display, actual: impl fmt::Display) -> Self {
        Self { subject: subject.to_string(), expected: expected.to_string(), actual: actual.to_string() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.subject, self.expected, self.actual)
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// How many blobs were read and hashed.
    pub blobs: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// Empty: all is as it should be.
    pub differences: Vec<Difference>,
}

/// An archive or a layout directory, by itself: whether it is whole and says the truth of what is in it.
///
/// # Errors
/// It can't be read, or is no such thing at all.
pub fn path(path: &Path) -> Result<Verified, ImageError> {
    Ok(contents::verify(&Contents::read(path)?))
}

/// The archive of an image: by itself, and against what was recorded when it was built.
///
/// # Errors
/// As [`path`].
pub fn image(image: &Image) -> Result<Verified, ImageError> {
    let contents = Contents::read(&image.archive)?;
    let mut verified = contents::verify(&contents);
    for digest in [&image.manifest_digest, &image.config_digest, &image.layer_digest] {
        if contents.blob(digest).is_none() {
            verified.differences.push(Difference::new(
                image.archive.display(),
                format_args!("the blob {digest}, as it was built"),
                "no such blob",
            ));
        }
    }
    Ok(verified)
}
