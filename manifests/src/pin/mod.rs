//! Digests of images in a kustomization, for those who deploy what is committed.
//!
//! The file is somebody's: only the entries of `images` that are meant are changed, everything else stays as it was, comments
//! too. What was written is read again before it takes the place of the old file, and must differ in nothing else.

mod edit;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::image::Image;
use crate::kustomize::NAMES;
use crate::render::image_name;
use crate::yaml;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// There is no kustomization in the directory.
    #[error("{directory}: there is no kustomization.yaml", directory = directory.display())]
    Missing {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// It can't be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path}:{line}: {message}", path = path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A reference that says nothing for ever.
    #[error("{called}={reference}: {message}")]
    Reference {
        /// What the image was called.
        called: String,
        /// What was given for it.
        reference: String,
        /// What is wrong.
        message: String,
    },
}

/// What was pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    pub file: PathBuf,
    /// Whether it says something else now.
    pub changed: bool,
    /// Each image by its name in the manifests, with its reference.
    pub images: Vec<(String, Image)>,
}

/// Writes references into the kustomization of a directory: images by what they are called, as in
/// [`Values::images`](crate::Values::images), each with a digest. Nothing is written if it says so already, or if `write` is
/// false.
///
/// # Errors
/// There is no kustomization, it can't be changed, or a reference has no digest. The file is as it was then.
pub fn pin(directory: &Path, images: &[(String, String)], write: bool) -> Result<Pinned, PinError> {
    let images = images.iter().map(|(called, reference)| checked(called, reference)).collect::<Result<Vec<_>, _>>()?;
    let file = NAMES.iter().map(|name| directory.join(name)).find(|file| file.is_file());
    let file = file.ok_or_else(|| PinError::Missing { directory: directory.to_owned() })?;
    let failed = |source| PinError::File { path: file.clone(), source };
    let before = fs::read_to_string(&file).map_err(failed)?;
    let after = edit::with_images(&before, &images).map_err(|(line, message)| PinError::Wrong {
        path: file.clone(),
        line,
        message,
    })?;
    let changed = before != after;
    if changed && write {
        replace(&file, &after).map_err(failed)?;
    }
    Ok(Pinned { file, changed, images })
}

fn checked(called: &str, reference: &str) -> Result<(String, Image), PinError> {
    let wrong = |message: &str| {
        Err(PinError::Reference { called: called.into(), reference: reference.into(), message: message.into() })
    };
    let Some(name) = image_name(called) else {
        return wrong("there is no such image; there are card-server, card-worker, postgres, redis, prometheus");
    };
    match Image::parse(reference) {
        Some(image) if image.digest.is_some() => Ok((name.to_owned(), image)),
        Some(_) => wrong("it has no digest, so it can change at any time; use NAME=REPOSITORY@sha256:DIGEST"),
        None => wrong("it is not an image reference; give NAME=REPOSITORY@sha256:DIGEST"),
    }
}

/// All of it or nothing, even if the program is killed meanwhile.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    // Through a link, if it is one: what it points to is meant.
    let file = fs::canonicalize(file)?;
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    let written = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, fs::metadata(&file)?.permissions()))
        .and_then(|()| fs::rename(&beside, &file));
    if written.is_err() {
        // Its own failure would only hide the other.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The images that a kustomization changes: name, and what becomes of it.
fn said(text: &str) -> Result<Value, (usize, String)> {
    yaml::read::<Value>(text).map_err(|error| (error.line.max(1), error.message))
}

#[cfg(test)]
mod tests;
