//! Images into a container runtime of this machine, through its own program, and whether they are there.
//!
//! That a load went well is only believed when the runtime shows the image with its digest: `minikube image load` ends
//! with 0 when it failed.

mod containerd;
mod docker;
mod minikube;

use std::fmt;
use std::time::Duration;

use crate::catalog::Image;
use crate::error::{ErrorKind, ImageError};
use crate::group::{self, Ended};
use crate::verify;

/// Where images can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// A cluster that minikube made: of this profile, or of its current one.
    Minikube {
        /// `minikube -p`.
        profile: Option<String>,
    },
    /// The daemon that `docker` speaks to.
    Docker,
    /// podman's store of this user.
    Podman,
    /// The daemon that `ctr` speaks to (`CONTAINERD_ADDRESS`).
    Containerd {
        /// Kubernetes' is `k8s.io`.
        namespace: String,
    },
}

/// Whether a runtime has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// With the same digest.
    Same,
    /// Nothing by that name.
    Absent,
    /// Something else by that name.
    Other(String),
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// It is there now.
    Now,
    /// It was there already: nothing was sent.
    Already,
}

/// To look takes a second or two.
const LOOK: Duration = Duration::from_secs(60);
/// To send some megabytes into a virtual machine can take long.
const SEND: Duration = Duration::from_secs(600);
const TAIL: usize = 6;

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minikube { profile: None } => f.write_str("minikube"),
            Self::Minikube { profile: Some(profile) } => write!(f, "minikube ({profile})"),
            Self::Docker => f.write_str("docker"),
            Self::Podman => f.write_str("podman"),
            Self::Containerd { namespace } => write!(f, "containerd ({namespace})"),
        }
    }
}

/// Whether the runtime has this image, by digest.
///
/// # Errors
/// The runtime's program is not there or does not answer.
pub async fn presence(image: &Image, runtime: &Runtime) -> Result<Presence, ImageError> {
    match runtime {
        Runtime::Minikube { profile } => minikube::presence(image, profile.as_deref()).await,
        Runtime::Docker => docker::presence(image, "docker").await,
        Runtime::Podman => docker::presence(image, "podman").await,
        Runtime::Containerd { namespace } => containerd::presence(image, namespace).await,
    }
}

/// Loads an image unless it is there, and looks whether it is.
///
/// # Errors
/// The archive is not what was built, the runtime's program is not there or fails, or the image is not there afterwards.
pub async fn load(image: &Image, runtime: &Runtime) -> Result<Loaded, ImageError> {
    if presence(image, runtime).await? == Presence::Same {
        return Ok(Loaded::Already);
    }
    let verified = verify::image(image)?;
    if !verified.differences.is_empty() {
        let error = ImageError::new(
            "damaged-archive",
            ErrorKind::Different,
            format!("{} is not what was built", image.archive.display()),
        );
        let error = verified.differences.iter().take(TAIL).fold(error, ImageError::evidence);
        return Err(error.fix("cardctl images build"));
    }
    let ended = match runtime {
        Runtime::Minikube { profile } => minikube::load(image, profile.as_deref()).await?,
        Runtime::Docker => docker::load(image, "docker").await?,
        Runtime::Podman => docker::load(image, "podman").await?,
        Runtime::Containerd { namespace } => containerd::load(image, namespace).await?,
    };
    let found = if ended.well { presence(image, runtime).await? } else { Presence::Absent };
    match found {
        Presence::Same => Ok(Loaded::Now),
        found => Err(not_loaded(image, runtime, &ended, &found)),
    }
}

fn not_loaded(image: &Image, runtime: &Runtime, ended: &Ended, found: &Presence) -> ImageError {
    let reference = image.reference();
    let message = match found {
        Presence::Other(digest) => {
            format!("{runtime} reported that it loaded {reference}, but has another image of that name, {digest}")
        }
        _ if ended.well => format!("{runtime} reported that it loaded {reference}, but does not have it"),
        _ => format!("{runtime} can't load {reference}: {}", ended.how),
    };
    let error = ImageError::new("not-loaded", ErrorKind::Environment, message);
    let said = format!("{}\n{}", ended.stdout, ended.stderr);
    group::tail(&said, TAIL).into_iter().fold(error, ImageError::evidence).fix(match runtime {
        Runtime::Minikube { profile } => {
            let profile = profile.as_deref().map(|profile| format!(" -p {profile}")).unwrap_or_default();
            format!("minikube{profile} logs --problems, then try again")
        }
        Runtime::Docker | Runtime::Podman => "check that the disk for images is not full, then try again".to_owned(),
        Runtime::Containerd { .. } => "journalctl -u containerd -n 50, then try again".to_owned(),
    })
}

/// A program that only looks, and failed.
fn can_not_look(program: &str, ended: &Ended, fix: &str) -> ImageError {
    let error =
        ImageError::new("runtime", ErrorKind::Environment, format!("{program} can't list its images: {}", ended.how));
    group::tail(&ended.stderr, TAIL).into_iter().fold(error, ImageError::evidence).fix(fix)
}

#[cfg(test)]
mod tests;
