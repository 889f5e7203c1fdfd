//! `cardctl images load`.

use card_images::load::{self, Loaded, Runtime};
use card_images::{Component, Image};
use clap::ValueEnum;
use serde::Serialize;

use super::place::{Which, parse_component};
use super::progress::{Doing, megabytes};
use super::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// A runtime of this machine.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Into {
    Minikube,
    Docker,
    Podman,
    Containerd,
}

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct Destination {
    /// Minikube profile, with --into minikube [default: the current profile]
    #[arg(long, value_name = "PROFILE")]
    minikube_profile: Option<String>,
    /// Containerd namespace, with --into containerd
    #[arg(long, value_name = "NAME", default_value = "k8s.io")]
    containerd_namespace: String,
}

/// Load images into a container runtime of this machine and verify them
///
/// Skips images that the runtime already has, by digest. Needs the runtime's own program on PATH: minikube, docker, podman
/// or ctr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl images load --into minikube
  cardctl images load server --into docker
  cardctl images load --into containerd --containerd-namespace k8s.io")]
pub(super) struct LoadArgs {
    /// Images to load: server, worker, generator, or the names of their binaries [default: all that were built]
    #[arg(value_name = "NAME", value_parser = parse_component)]
    names: Vec<Component>,
    /// Container runtime: minikube, docker, podman or containerd
    #[arg(long, value_enum, value_name = "RUNTIME")]
    into: Into,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Document {
    runtime: String,
    images: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    component: String,
    reference: String,
    digest: String,
    /// It was there before.
    already: bool,
}

impl Destination {
    fn runtime(&self, into: Into) -> Runtime {
        match into {
            Into::Minikube => Runtime::Minikube { profile: self.minikube_profile.clone() },
            Into::Docker => Runtime::Docker,
            Into::Podman => Runtime::Podman,
            Into::Containerd => Runtime::Containerd { namespace: self.containerd_namespace.clone() },
        }
    }

    /// By its name, for a flag that is not this command's.
    pub(super) fn runtime_by_name(&self, name: &str) -> Result<Runtime, String> {
        <Into as ValueEnum>::from_str(name, false).map(|into| self.runtime(into))
    }
}

/// What `--in` and `--into` take.
pub(super) fn parse_runtime(text: &str) -> Result<String, String> {
    <Into as ValueEnum>::from_str(text, false)
        .map(|_| text.to_owned())
        .map_err(|_| "must be minikube, docker, podman or containerd".to_owned())
}

pub(super) async fn run(args: LoadArgs, context: &Context) -> Result<Exit, Failure> {
    let images = args.which.for_one_platform(context, &args.names)?;
    let runtime = args.destination.runtime(args.into);
    let loaded = load_all(context, &images, &runtime).await?;
    let line = |(image, loaded): (&Image, Loaded)| Line {
        component: image.component.clone(),
        reference: image.reference().tagged(),
        digest: image.manifest_digest.to_string(),
        already: loaded == Loaded::Already,
    };
    let lines: Vec<_> = images.iter().zip(loaded).map(line).collect();
    for line in &lines {
        let how = if line.already { "already loaded" } else { "loaded, verified by digest" };
        context.printer.text(format!("{}  {how}", line.reference))?;
    }
    context.printer.data(&Document { runtime: runtime.to_string(), images: lines })?;
    Ok(Exit::Done)
}

/// Loads images, one after the other, and says of each whether it was there.
///
/// # Errors
/// The runtime does not take one, or the command was interrupted.
pub async fn load_all(context: &Context, images: &[Image], runtime: &Runtime) -> Result<Vec<Loaded>, Failure> {
    let doing = Doing::new(&context.printer);
    let mut done = Vec::new();
    for image in images {
        doing.at(format!("loading {} ({}) into {runtime}", image.reference(), megabytes(image.size)));
        let loaded = tokio::select! {
            loaded = load::load(image, runtime) => loaded.map_err(failure),
            () = context.stop.cancelled() => Err(context.interruption()),
        };
        done.push(loaded.map_err(|failure| left(failure, done.len(), images.len()))?);
    }
    Ok(done)
}

fn left(failure: Failure, done: usize, of: usize) -> Failure {
    if done == 0 { failure } else { failure.left(format!("{done} of {of} images are loaded and stay loaded")) }
}
