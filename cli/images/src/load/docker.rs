//! `docker` and `podman`: the same words, the same answers.

use std::ffi::OsStr;

use super::{LOOK, Presence, SEND, can_not_look};
use crate::catalog::Image;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::group::{self, Ended};

pub(super) async fn presence(image: &Image, program: &str) -> Result<Presence, ImageError> {
    let name = image.reference().tagged();
    // `image inspect` fails alike without an image and without a daemon; a list of none ends well.
    let arguments = ["image", "ls", "--quiet", "--no-trunc", &name].map(OsStr::new);
    let ended = group::run(program, &arguments, None, LOOK).await?;
    if !ended.well {
        return Err(can_not_look(program, &ended, &format!("run {program} info to see what is missing")));
    }
    let ids: Vec<_> = ended.stdout.split_whitespace().collect();
    // An id is the configuration's digest, or the manifest's where containerd keeps Docker's images.
    let is_same = |id: &&str| {
        let id = Digest::parse(id);
        id.as_ref() == Some(&image.config_digest) || id.as_ref() == Some(&image.manifest_digest)
    };
    Ok(match ids.first() {
        None => Presence::Absent,
        Some(_) if ids.iter().any(is_same) => Presence::Same,
        Some(id) => Presence::Other((*id).to_owned()),
    })
}

pub(super) async fn load(image: &Image, program: &str) -> Result<Ended, ImageError> {
    let arguments = [OsStr::new("load"), OsStr::new("-i"), image.archive.as_os_str()];
    group::run(program, &arguments, None, SEND).await
}
