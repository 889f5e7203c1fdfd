//! `cardctl loadtest compare`: two results side by side, with a verdict.

use std::path::PathBuf;

use card_loadtests::compare::{Figure, Options, compare, load};
use card_loadtests::report::comparison;
use card_loadtests::result::{Regression, Verdict};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::values::percentage;
use super::{unreadable, word};
use crate::args::Output;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Block, Paint};
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl loadtest compare before/result.json after/result.json
  cardctl loadtest compare main.json branch.json --fail-on p95,p99 --tolerance 5%
  cardctl loadtest compare main.json branch.json -o md

Exit codes: 0 no regression, 10 regression, 11 not comparable or inconclusive, 3 a file can't be read";

/// Compare two results and report changes beyond the noise
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompareArgs {
    /// Baseline result.json
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// result.json to compare with the baseline
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// Metrics that decide the verdict: p50, p95, p99, errors, throughput
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "p95,errors,throughput")]
    fail_on: Vec<Figure>,
    /// Tolerance: smaller differences are ignored
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percentage)]
    tolerance: f64,
    /// Output format: text, json, jsonl or md (Markdown) [default: text]
    // By this name it stands in for the global option.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_parser = PossibleValuesParser::new(["text", "json", "jsonl", "md"]).map(|name| format(&name)),
        hide_default_value = true,
        hide_possible_values = true
    )]
    output: Output,
}

fn format(name: &str) -> Output {
    match name {
        "json" => Output::Json,
        "jsonl" => Output::Jsonl,
        "md" => Output::Markdown,
        _ => Output::Text,
    }
}

/// `-o json`.
#[derive(Serialize)]
struct Document<'a> {
    /// The run that is compared.
    run: &'a str,
    exit: u8,
    #[serde(flatten)]
    regression: &'a Regression,
}

/// The text with its verdict in its colour.
fn painted(regression: &Regression, paint: Paint) -> String {
    let text = comparison::text(regression);
    let text = text.trim_end();
    match text.strip_prefix(word::plain(regression.verdict)) {
        Some(rest) => word::painted(regression.verdict, paint) + rest,
        None => text.to_owned(),
    }
}

pub(super) fn run(args: CompareArgs, context: &Context) -> Result<Exit, Failure> {
    let read = |file| load(file).map_err(|error| unreadable(&error));
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let baseline = Some(args.before.display().to_string());
    let regression = compare(&before, &after, &Options { tolerance: args.tolerance, fail_on: args.fail_on, baseline });
    let exit = match regression.verdict {
        Verdict::Pass => Exit::Done,
        Verdict::Fail => Exit::Regression,
        Verdict::Inconclusive => Exit::Inconclusive,
    };
    let printer = &context.printer;
    match args.output {
        Output::Markdown => printer.raw(comparison::markdown(&regression).trim_end())?,
        _ => printer.text(Block::of(painted(&regression, printer.out()).lines()))?,
    }
    printer.data(&Document { run: &after.run, exit: exit as u8, regression: &regression })?;
    Ok(exit)
}
