//! `cardctl images verify`.

use std::path::{Path, PathBuf};

use card_images::load::{self, Presence, Runtime};
use card_images::push::{Credentials, Place};
use card_images::verify::{self, Difference, Verified};
use card_images::{Component, ErrorKind, Image, ImageError};
use serde::Serialize;

use super::load::{Destination, parse_runtime};
use super::place::Which;
use super::progress::{Doing, megabytes};
use super::push::credentials;
use super::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Verify image digests
///
/// Checks the images that were built, an archive or OCI layout by its path, an image in a registry by its name, or, with
/// --in, the images of a runtime. Exit code: 0 if every digest matches, 12 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl images verify
  cardctl images verify target/images/card-server.tar
  cardctl images verify --in minikube
  cardctl images verify localhost:5000/cards/card-server:sha-0123456789ab")]
pub(super) struct VerifyArgs {
    /// Images to verify: a name, a path or REGISTRY/PATH/NAME:TAG [default: all that were built]
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// Check that this runtime has the images: minikube, docker, podman or containerd
    #[arg(long = "in", value_name = "RUNTIME", value_parser = parse_runtime)]
    runtime: Option<String>,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    which: Which,
}

/// What is to be looked at.
enum Subject {
    Built(Box<Image>),
    Path(PathBuf),
    Remote(String),
}

#[derive(Serialize)]
struct Document {
    ok: bool,
    checked: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    subject: String,
    ok: bool,
    blobs: usize,
    bytes: u64,
    differences: Vec<Difference>,
}

pub(super) async fn run(args: VerifyArgs, context: &Context) -> Result<Exit, Failure> {
    let subjects = args.subjects(context)?;
    let runtime = args.runtime.as_deref().map(|name| args.destination.runtime_by_name(name)).transpose();
    let runtime = runtime.map_err(Failure::internal)?;
    let doing = Doing::new(&context.printer);
    let mut checked = Vec::new();
    for subject in &subjects {
        let name = subject.name();
        doing.at(format!("verifying {name}"));
        let credentials = match subject {
            Subject::Remote(reference) => {
                let place: Place = repository(reference).parse().map_err(failure)?;
                credentials(&place.registry).await?
            }
            _ => None,
        };
        let verified = tokio::select! {
            verified = subject.verify(runtime.as_ref(), credentials.as_ref()) => verified,
            () = context.stop.cancelled() => return Err(context.interruption()),
        };
        let verified = match verified {
            // No image at all is the greatest difference there is.
            Err(error) if error.kind == ErrorKind::Different => {
                let found = [error.message].into_iter().chain(error.evidence).collect::<Vec<_>>().join(": ");
                let difference = Difference { subject: name.clone(), expected: "an image".into(), actual: found };
                Verified { blobs: 0, bytes: 0, differences: vec![difference] }
            }
            verified => verified.map_err(failure)?,
        };
        let Verified { blobs, bytes, differences } = verified;
        checked.push(Checked { subject: name, ok: differences.is_empty(), blobs, bytes, differences });
    }
    drop(doing);
    show(context, checked)
}

fn show(context: &Context, checked: Vec<Checked>) -> Result<Exit, Failure> {
    let printer = &context.printer;
    let paint = printer.out();
    for Checked { subject, ok, blobs, bytes, differences } in &checked {
        let verdict = if *ok { paint.good("ok  ") } else { paint.bad("fail") };
        let how_much = if *blobs == 0 { String::new() } else { format!("  {blobs} blobs, {}", megabytes(*bytes)) };
        printer.text(format!("{verdict}  {subject}{how_much}"))?;
        for difference in differences {
            printer.text(format!("      {difference}"))?;
        }
    }
    let ok = checked.iter().all(|checked| checked.ok);
    printer.data(&Document { ok, checked })?;
    Ok(if ok { Exit::Done } else { Exit::Differences })
}

impl VerifyArgs {
    fn subjects(&self, context: &Context) -> Result<Vec<Subject>, Failure> {
        let built = |names: &[Component]| -> Result<Vec<Subject>, Failure> {
            let images = match self.runtime {
                Some(_) => self.which.for_one_platform(context, names)?,
                None => self.which.images(context, names)?,
            };
            Ok(images.into_iter().map(|image| Subject::Built(Box::new(image))).collect())
        };
        if self.what.is_empty() {
            return built(&[]);
        }
        let mut subjects = Vec::new();
        for what in &self.what {
            if let Some(component) = Component::find(what) {
                subjects.extend(built(&[component])?);
            } else if Path::new(what).exists() || what.starts_with(['.', '/']) {
                subjects.push(Subject::Path(what.into()));
            } else {
                subjects.push(Subject::Remote(what.clone()));
            }
        }
        match &self.runtime {
            Some(_) if !subjects.iter().all(|subject| matches!(subject, Subject::Built(_))) => {
                Err(Failure::new("usage", Exit::Usage, "--in is for images that were built here, by their names")
                    .fix("leave out --in, or the paths"))
            }
            _ => Ok(subjects),
        }
    }
}

impl Subject {
    fn name(&self) -> String {
        match self {
            Self::Built(image) => format!("{} {}", image.reference(), image.platform),
            Self::Path(path) => path.display().to_string(),
            Self::Remote(reference) => reference.clone(),
        }
    }

    async fn verify(
        &self,
        runtime: Option<&Runtime>,
        credentials: Option<&Credentials>,
    ) -> Result<Verified, ImageError> {
        match (self, runtime) {
            (Self::Built(image), Some(runtime)) => {
                let presence = load::presence(image, runtime).await?;
                let found = match presence {
                    Presence::Same => None,
                    Presence::Absent => Some("no such image".to_owned()),
                    Presence::Other(digest) => Some(digest),
                };
                let expected = format!("{} (configuration {})", image.manifest_digest, image.config_digest);
                let differs = |actual| Difference { subject: runtime.to_string(), expected, actual };
                Ok(Verified { blobs: 0, bytes: 0, differences: found.map(differs).into_iter().collect() })
            }
            (Self::Built(image), None) => verify::image(image),
            (Self::Path(path), _) => verify::path(path),
            (Self::Remote(reference), _) => {
                let place: Place = repository(reference).parse()?;
                let bare = reference.split_once("://").map_or(reference.as_str(), |(_, rest)| rest);
                verify::registry(bare, &place, credentials).await
            }
        }
    }
}

/// Without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains('/') => &name[..colon],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn a_tag_is_told_from_a_port() {
        assert_eq!(repository("localhost:5000/a/b:sha-1"), "localhost:5000/a/b");
        assert_eq!(repository("localhost:5000/a/b"), "localhost:5000/a/b");
        assert_eq!(repository("r.io/a@sha256:ab"), "r.io/a");
    }
}
