//! `minikube image`: what it loads it hands to the Docker, containerd or CRI-O in the cluster's node.

use std::ffi::OsStr;

use serde::Deserialize;

use super::{LOOK, Presence, SEND, can_not_look};
use crate::catalog::Image;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::group::{self, Ended};
use crate::reference;

const PROGRAM: &str = "minikube";

/// One line of `image ls --format json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

pub(super) async fn presence(image: &Image, profile: Option<&str>) -> Result<Presence, ImageError> {
    let ended = run(profile, &["image", "ls", "--format", "json"].map(OsStr::new), LOOK).await?;
    let fix = "minikube status, and minikube start if it does not run";
    if !ended.well {
        return Err(can_not_look(PROGRAM, &ended, fix));
    }
    let listed = listed(&ended.stdout).map_err(|error| can_not_look(PROGRAM, &ended, fix).evidence(error))?;
    Ok(find(image, &listed))
}

pub(super) async fn load(image: &Image, profile: Option<&str>) -> Result<Ended, ImageError> {
    // An absolute path: anything else may be taken for a name.
    let archive = std::path::absolute(&image.archive).unwrap_or_else(|_| image.archive.clone());
    run(profile, &[OsStr::new("image"), OsStr::new("load"), archive.as_os_str()], SEND).await
}

async fn run(profile: Option<&str>, arguments: &[&OsStr], patience: std::time::Duration) -> Result<Ended, ImageError> {
    let of: Vec<_> = profile.iter().flat_map(|profile| ["-p", profile].map(OsStr::new)).collect();
    group::run(PROGRAM, &[&of, arguments].concat(), None, patience).await
}

/// A node without images says `null` or nothing.
fn listed(text: &str) -> serde_json::Result<Vec<Listed>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str::<Option<Vec<Listed>>>(text).map(Option::unwrap_or_default)
}

fn find(image: &Image, listed: &[Listed]) -> Presence {
    let full = image.reference().full();
    // podman and CRI-O put their own registry before names that have none.
    let local = format!("localhost/{}", image.reference().tagged());
    let is_named = |tag: &String| reference::full(tag) == full || *tag == local;
    let named = |known: &&Listed| known.repo_tags.iter().flatten().any(is_named);
    let Some(found) = listed.iter().find(named) else { return Presence::Absent };
    let id = Digest::parse(&found.id);
    let by_manifest = |known: &String| known.ends_with(&format!("@{}", image.manifest_digest));
    // The id is the configuration's digest, or the manifest's where containerd keeps Docker's images.
    let same = id.as_ref() == Some(&image.config_digest)
        || id.as_ref() == Some(&image.manifest_digest)
        || found.repo_digests.iter().flatten().any(by_manifest);
    if same { Presence::Same } else { Presence::Other(found.id.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::image;

    fn found(image: &Image, text: &str) -> Presence {
        find(image, &listed(text).unwrap())
    }

    #[test]
    fn an_image_is_there_only_with_its_digest() {
        let image = image();
        let (name, config) = (image.reference().tagged(), image.config_digest.hex().to_owned());
        let docker = format!(r#"[{{"id":"{config}","repoDigests":[],"repoTags":["docker.io/{name}"],"size":"1"}}]"#);
        assert_eq!(found(&image, &docker), Presence::Same);
        let manifest = &image.manifest_digest;
        let containerd = format!(
            r#"[{{"id":"sha256:ab","repoDigests":["docker.io/cardctl/card-server@{manifest}"],"repoTags":["{name}"],"size":"1"}}]"#
        );
        assert_eq!(found(&image, &containerd), Presence::Same);
        let stale = format!(r#"[{{"id":"ab","repoDigests":null,"repoTags":["{name}"]}}]"#);
        assert_eq!(found(&image, &stale), Presence::Other("ab".into()));
        for none in ["", "null", "[]", r#"[{"id":"ab"}]"#] {
            assert_eq!(found(&image, none), Presence::Absent, "{none}");
        }
        assert!(listed("minikube: error").is_err());
    }
}
