//! `cardctl manifests validate`.

use std::path::PathBuf;

use card_manifests::{Finding, Level, Overlay, Values};
use serde::Serialize;
use serde_json::Value;

use super::{load_failure, render_failure, settings};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Check manifests without a cluster
///
/// Checks fields against the Kubernetes API, and the rules of this platform: pinned images, the restricted policy, probes,
/// resource requests, time to terminate, one owner of the replica count, no secrets. Exit code: 0 if all is well, 3 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests validate cards.yaml
  cardctl manifests validate -                  check stdin, such as the output of kubectl kustomize
  cardctl manifests validate                    check the built-in overlays")]
pub(super) struct ValidateArgs {
    /// File of objects, directory of such files, or - for stdin [default: the built-in overlays]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Treat warnings as errors
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
        (0, 0) => format!("{objects} objects: no problems found"),
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
