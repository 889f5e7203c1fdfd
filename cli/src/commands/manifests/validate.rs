//! `cardctl manifests validate`.

use std::path::PathBuf;

use card_manifests::{Finding, Level, Overlay, Values};
use serde::Serialize;
use serde_json::Value;

use super::{load_failure, render_failure, settings};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Say what is wrong with manifests, without asking a cluster
///
/// Looks at fields that the Kubernetes API does not know, needs or has otherwise, and at what this platform insists on:
/// pinned images, the restricted policy, probes, requests, time to finish, one owner for the number of pods, no secrets. Ends
/// with 3 if something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests validate cards.yaml
  cardctl manifests validate -                  from stdin, such as the output of kubectl kustomize
  cardctl manifests validate                    the overlays that this program carries")]
pub(super) struct ValidateArgs {
    /// A file of objects, a directory of such files, or - for stdin [default: every overlay of this program]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Warnings count as well
    #[arg(long)]
    strict: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    valid: bool,
    objects: usize,
    findings: &'a [Finding],
}

pub(super) fn run(args: ValidateArgs, context: &Context) -> Result<Exit, Failure> {
    let sets = match &args.file {
        Some(file) => vec![card_manifests::load(file).map_err(|error| load_failure(&error))?],
        None => Overlay::ALL.into_iter().map(overlay).collect::<Result<_, _>>()?,
    };
    let objects = sets.iter().map(Vec::len).sum();
    let of_set =
        |set: &Vec<Value>| card_manifests::validate(set).into_iter().chain(settings::findings(set)).collect::<Vec<_>>();
    let mut findings: Vec<Finding> = sets.iter().flat_map(of_set).collect();
    findings.dedup();
    let least = if args.strict { Level::Warning } else { Level::Error };
    let valid = findings.iter().all(|finding| finding.level < least);
    let printer = &context.printer;
    for finding in &findings {
        let level = match finding.level {
            Level::Error => printer.out().bad("error"),
            Level::Warning => printer.out().warn("warning"),
            Level::Note => printer.out().dim("note"),
        };
        printer.text(format!("{level}: {finding}"))?;
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    printer.text(match (count(Level::Error), count(Level::Warning)) {
        (0, 0) => format!("{objects} objects: nothing is wrong"),
        (errors, warnings) => format!("{objects} objects: {errors} errors, {warnings} warnings"),
    })?;
    printer.data(&Document { valid, objects, findings: &findings })?;
    Ok(if valid { Exit::Done } else { Exit::NotReady })
}

/// One that this program carries, with images that are as good as any.
fn overlay(overlay: Overlay) -> Result<Vec<Value>, Failure> {
    let mut values = Values::new(overlay);
    for name in ["card-server", "card-worker"] {
        values.images.insert(name.to_owned(), format!("cardctl/{name}:sha-000000000000"));
    }
    card_manifests::render(&values).map_err(|error| render_failure(&error))
}
