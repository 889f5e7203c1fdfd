//! `cardctl manifests`: the Kubernetes manifests.

mod apply;
mod diff;
mod images;
mod pin;
mod render;
mod settings;
mod validate;
mod values;

use card_manifests::{LoadError, RenderError};

pub use self::values::ValuesArgs;
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::kubernetes::Kind;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl manifests render --overlay medium --registry ghcr.io/ada/cards
  cardctl manifests render --out rendered            write one file per object
  cardctl manifests validate cards.yaml              check a file without a cluster
  cardctl manifests diff --exit-code                 show the changes an apply would make
  cardctl manifests apply -f cards.yaml
  cardctl manifests pin deploy --registry ghcr.io/ada/cards";

/// Manage Kubernetes manifests: render, diff, apply, validate, pin
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct ManifestsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Render(render::RenderArgs),
    Diff(diff::DiffArgs),
    Apply(apply::ApplyArgs),
    Validate(validate::ValidateArgs),
    Pin(pin::PinArgs),
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: ManifestsArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Render(args) => render::run(args, context),
        Verb::Diff(args) => diff::run(args, context).await,
        Verb::Apply(args) => apply::run(args, context).await,
        Verb::Validate(args) => validate::run(args, context),
        Verb::Pin(args) => pin::run(args, context),
    }
}

/// What a value that makes no sense, or an image that nobody named, is told to whoever gave it or did not.
pub fn render_failure(error: &RenderError) -> Failure {
    match error {
        RenderError::Value { value, message } => {
            Failure::new("usage", Exit::Usage, format!("--{value}: {message}")).fix("cardctl manifests render --help")
        }
        RenderError::NoImage { image } => {
            Failure::new("no-image", Exit::NotReady, format!("no image is known for {image}"))
                .evidence("none was built here, and none is given")
                .fix(format!("cardctl images build, or --image {image}=REGISTRY/{image}@sha256:DIGEST"))
        }
        // What is compiled in can't be wrong unless we were.
        other => Failure::internal(other),
    }
}

/// Which cluster is meant: that of the target, if it is one.
fn kind(context: &Context) -> Result<Kind, Failure> {
    Ok(match context.target()? {
        Target::Kubernetes(kind) => kind,
        Target::Local(_) | Target::Url(_) => Kind::Kube,
    })
}

fn load_failure(error: &LoadError) -> Failure {
    let failure = Failure::new("manifest", Exit::Usage, error.to_string());
    match error {
        LoadError::Unreadable { .. } => {
            Failure { exit: Exit::NotReady, ..failure }.fix("name a file that can be read, or - for stdin")
        }
        LoadError::Wrong { .. } => failure.fix("correct the line"),
        LoadError::Empty { .. } => failure.fix("name a file with objects in it; cardctl manifests render writes one"),
        LoadError::Kustomize { path, .. } => {
            failure.fix(format!("kubectl kustomize {} | cardctl manifests validate -", path.display()))
        }
        LoadError::Kustomization { path } => failure.fix(format!(
            "kubectl kustomize {} | cardctl manifests validate -",
            path.parent().unwrap_or(path).display()
        )),
    }
}
