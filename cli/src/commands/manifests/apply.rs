//! `cardctl manifests apply`.

use std::path::PathBuf;

use card_kube::apply::{ApplyOptions, Change, Outcome, apply};
use card_kube::prune;
use serde::Serialize;
use serde_json::Value;

use super::{kind, load_failure};
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::{Addresses, Deployment, connect, ensure_secrets, mounts_the_secret, release, stamp, trouble};
use card_core::exit::Exit;

/// Apply the objects of a file to the cluster
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests apply -f cards.yaml --context cards
  cardctl manifests apply -f - --dry-run         try the objects of stdin")]
pub(super) struct ApplyArgs {
    /// File of objects, directory of such files, or - for stdin
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Take ownership of fields that another manager has set
    #[arg(long)]
    pub(super) force_conflicts: bool,
    /// Delete objects of the installation that are no longer in the file; lists them first
    #[arg(long)]
    pub(super) prune: bool,
    /// Perform a server-side dry run
    #[arg(long)]
    pub(super) dry_run: bool,
}

pub(super) async fn run(args: ApplyArgs, context: &Context) -> Result<Exit, Failure> {
    let mut objects = card_manifests::load(&args.file).map_err(|error| load_failure(&error))?;
    card_manifests::in_apply_order(&mut objects);
    applied(objects, &args, context).await
}

#[derive(Serialize)]
struct Document {
    context: String,
    namespace: String,
    dry_run: bool,
    objects: Vec<Line>,
    /// In the inventory and not in the file.
    stale: Vec<String>,
    pruned: bool,
}

#[derive(Serialize)]
struct Line {
    object: String,
    /// created, changed or unchanged
    outcome: &'static str,
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Configured => "changed",
        Outcome::Unchanged => "unchanged",
    }
}

/// Applies objects in their order.
async fn applied(mut objects: Vec<Value>, args: &ApplyArgs, context: &Context) -> Result<Exit, Failure> {
    let kind = kind(context)?;
    let cluster = connect(kind, context).await?;
    let release = release(context);
    if !args.dry_run {
        Deployment::of(kind, &cluster, "file").with_what_is_known(&context.instance).store(&context.instance).map_err(
            |error| {
                Failure::new("state-directory", Exit::NotReady, format!("the deployment can't be recorded: {error}"))
                    .evidence(context.instance.deployment().display())
                    .left("nothing was applied")
            },
        )?;
        // The pods of the platform wait for it; the file does not have it.
        if objects.iter().any(mounts_the_secret) {
            ensure_secrets(&cluster, &release, &Addresses::default()).await?;
        }
    }
    stamp(&mut objects, &cluster).await?;
    let options = ApplyOptions { force: args.force_conflicts, dry_run: args.dry_run, ..ApplyOptions::default() };
    let done = apply(&cluster, &objects, &release, &options, &|_| {}).await.map_err(|error| trouble::apply(&error))?;
    let stale = prune::preview(&cluster, &objects).await.map_err(|error| trouble::apply(&error))?;
    let names: Vec<_> = stale.iter().map(|member| member.object.to_string()).collect();
    let printer = &context.printer;
    let pruned = args.prune && !args.dry_run && !stale.is_empty();
    if pruned {
        printer.say(format!("deleted, because not in the file: {}", names.join(", ")));
        prune::prune(&cluster, &stale, &release, &|_| {}).await.map_err(|error| trouble::apply(&error))?;
    } else if !names.is_empty() {
        printer.say(format!("in the installation, but not in the file (--prune deletes them): {}", names.join(", ")));
    }
    for change in &done.changes {
        let would = if args.dry_run { " (dry run)" } else { "" };
        printer.text(format!("{} {}{would}", change.object, word(change.outcome)))?;
    }
    let line = |change: &Change| Line { object: change.object.to_string(), outcome: word(change.outcome) };
    printer.data(&Document {
        context: cluster.context().unwrap_or("-").to_owned(),
        namespace: cluster.namespace().to_owned(),
        dry_run: args.dry_run,
        objects: done.changes.iter().map(line).collect(),
        stale: names,
        pruned,
    })?;
    Ok(Exit::Done)
}
