//! `cardctl manifests apply`.

use std::path::PathBuf;

use serde_json::Value;

use super::load_failure;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Apply objects of a file to the cluster
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests apply -f cards.yaml --context cards
  cardctl manifests apply -f - --dry-run         what stdin has, without doing it")]
pub(super) struct ApplyArgs {
    /// A file of objects, a directory of such files, or - for stdin
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// Take fields over that somebody else set
    #[arg(long)]
    pub(super) force_conflicts: bool,
    /// Let the cluster say what it would do, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

pub(super) async fn run(args: ApplyArgs, context: &Context) -> Result<Exit, Failure> {
    let mut objects = card_manifests::load(&args.file).map_err(|error| load_failure(&error))?;
    card_manifests::in_apply_order(&mut objects);
    applied(objects, &args, context).await
}

/// Applies objects in their order.
async fn applied(_objects: Vec<Value>, _args: &ApplyArgs, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::new("usage", Exit::Usage, "manifests apply is not part of this release")
        .fix("kubectl apply --server-side -f FILE"))
}
