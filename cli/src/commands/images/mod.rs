//! `cardctl images`: container images of the platform's binaries, made here.

mod build;
mod built;
mod list;
mod load;
mod place;
mod progress;
mod push;
mod reference;
mod shown;
mod trouble;
mod verify;

pub use self::built::{BuildOptions, NO_SOURCE, built_images};
pub use self::load::load_all;
pub use self::place::store;
pub use self::push::push_all;
pub use self::reference::{named_reference, reference};
pub use self::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl images build                          build the binaries and their images from the source tree
  cardctl images load --into minikube           load them into minikube, verified by digest
  cardctl images push ghcr.io/ada/cards         push them to a registry
  cardctl images list
  cardctl images verify                         verify every digest";

/// Manage container images: build, load, push, list, verify
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct ImagesArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Build(build::BuildArgs),
    Load(load::LoadArgs),
    Push(push::PushArgs),
    List(list::ListArgs),
    Verify(verify::VerifyArgs),
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: ImagesArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Build(args) => build::run(args, context).await,
        Verb::Load(args) => load::run(args, context).await,
        Verb::Push(args) => push::run(args, context).await,
        Verb::List(args) => list::run(args, context).await,
        Verb::Verify(args) => verify::run(args, context).await,
    }
}
