//! `cardctl manifests diff`.

use std::path::PathBuf;

use serde_json::Value;

use super::{ValuesArgs, load_failure};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Show what an apply would change in the cluster
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests diff --context cards
  cardctl manifests diff -f cards.yaml --exit-code")]
pub(super) struct DiffArgs {
    /// Objects of a file, a directory or stdin (-) instead of those that the flags mean
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// End with 12 if there are differences
    #[arg(long)]
    pub(super) exit_code: bool,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    #[command(flatten)]
    pub(super) values: ValuesArgs,
}

pub(super) async fn run(args: DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let desired = match &args.file {
        Some(file) => card_manifests::load(file).map_err(|error| load_failure(&error))?,
        None => args.values.objects(context)?,
    };
    differences(desired, &args, context).await
}

/// Compares objects with what is in the cluster.
async fn differences(_desired: Vec<Value>, _args: &DiffArgs, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::new("usage", Exit::Usage, "manifests diff is not part of this release")
        .fix("cardctl manifests render > cards.yaml, then kubectl diff -f cards.yaml"))
}
