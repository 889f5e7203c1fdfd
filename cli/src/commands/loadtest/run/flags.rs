//! The flags of `loadtest run`, and the plan that they make.

use std::path::PathBuf;
use std::time::Duration;

use card_core::time::parse_duration;
use card_loadtests::compare::{Figure, Options};
use card_loadtests::plan::{AbortRule, Mix, Model, Overrides, Plan, Preset, Think, presets};
use clap::ValueEnum;

use super::super::values::{Kind, Promise, Runner, model, percentage, size, think};
use super::baseline::Named;
use crate::commands::images::reference;
use crate::commands::submit::rate::Rate;
use crate::exit::Exit;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  cardctl loadtest run smoke                    ten users for 15 seconds
  cardctl loadtest run -u 100 -d 2m --ramp 20s --slo 'e2e.p95<2s' --slo 'errors<0.1%'
  cardctl loadtest run --steps 10,100,1000 -d 30s --max-degradation 10%
  cardctl loadtest run --rate 200/s -d 1m --journey submit:6,add:1
  cardctl loadtest run -u 2000 -d 5m --runner job --generators 4    from inside the cluster
  cardctl loadtest run breakpoint               grows until a promise breaks, and names the limit
  cardctl loadtest run baseline --baseline last --tolerance 5% --out out";

const EXPLANATION: &str = "\
A promise is a figure and its bound. Times: accept, e2e, queue-wait, work, each with .p50 .p90 .p95
.p99 .max .mean. Shares: errors, dead, declined. Rates: offered, accepted, completed. Also: backlog,
oldest-age. By itself promised: errors<1%, dead<1%.

What was accepted is followed to its end and compared with what the platform says it did: the
expectation is the sender's own ledger. What it makes, it removes, unless it is evidence.

Exit codes: 0 all is well, 9 lost, duplicate or stuck, 7 a promise was missed, 10 worse than the
baseline, 11 it can't be told (never green); cardctl help exit-codes has the others";

/// Examples, the presets as they are, and what is promised.
fn after_help() -> String {
    let presets: Vec<_> =
        Preset::ALL.iter().map(|preset| format!("  {:<11} {}", preset.as_str(), preset.about())).collect();
    format!("{EXAMPLES}\n\nPresets:\n{}\n\n{EXPLANATION}", presets.join("\n"))
}

/// Run a load test: load, drain, audit, verdicts, reports
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(in super::super) struct RunArgs {
    /// A plan to begin with: smoke, baseline, ramp, spike, soak or breakpoint; flags change it
    #[arg(value_name = "PRESET")]
    preset: Option<Preset>,

    /// Users at once [default: 50]
    #[arg(short, long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    users: Option<u64>,
    /// How long the load is held after the ramp [default: 30s]
    #[arg(short, long, value_name = "DURATION", help_heading = "Load", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How long it takes to rise; not in the figures, but in the audit [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Load", value_parser = parse_duration)]
    ramp: Option<Duration>,
    /// The same load at each of these sizes, one after another
    #[arg(long, value_name = "N,N,…", help_heading = "Load", value_delimiter = ',', value_parser = size)]
    steps: Vec<f64>,
    /// closed: users who wait for their answers; open: arrivals, whatever the platform does [default: closed]
    #[arg(long, value_name = "MODEL", help_heading = "Load", value_parser = model)]
    model: Option<Model>,
    /// Arrivals a second, such as 200/s: the open model
    #[arg(long, value_name = "RATE", help_heading = "Load")]
    rate: Option<Rate>,
    /// How long a user rests before its next request: 500ms, or anything from 200ms..1s [default: 0]
    #[arg(long, value_name = "DURATION", help_heading = "Load", value_parser = think)]
    think: Option<Think>,
    /// What is asked for: submit, submit-status, add or mixed, or several with weights: submit:6,add:1
    #[arg(long, value_name = "MIX", help_heading = "Load")]
    journey: Option<Mix>,
    /// Make the same requests again [default: random, and printed]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(super) seed: Option<u64>,
    /// Where the load comes from: local (this process) or job (beside the platform, in a cluster)
    #[arg(
        long,
        value_name = "WHERE",
        help_heading = "Load",
        value_enum,
        default_value = "local",
        hide_possible_values = true
    )]
    pub(super) runner: Runner,
    /// How many generators make the load together, each a process or, with --runner job, a pod
    #[arg(long, value_name = "N", help_heading = "Load", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100), hide_default_value = true)]
    pub(super) generators: u64,
    /// With --runner job: the image of cardctl that they run [default: the one that `up` brought]
    #[arg(long, value_name = "REFERENCE", value_parser = reference, help_heading = "Load")]
    pub(super) image: Option<String>,

    /// A promise, such as 'e2e.p95<2s' or 'errors<1%'; in place of the default for the same figure; none removes those
    #[arg(long, value_name = "EXPR", help_heading = "Verdict")]
    slo: Vec<Promise>,
    /// How much slower than the first a step may be
    #[arg(long, value_name = "PERCENT", help_heading = "Verdict", value_parser = percentage)]
    max_degradation: Option<f64>,
    /// End before the time, such as 'errors>5% for 10s'
    #[arg(long, value_name = "RULE", help_heading = "Verdict")]
    abort_on: Vec<AbortRule>,
    /// Judge no promise by fewer samples than this [default: 20]
    #[arg(long, value_name = "N", help_heading = "Verdict")]
    min_samples: Option<u64>,
    /// Wait at most this long at the end for what was accepted [default: 60s]
    #[arg(long, value_name = "DURATION", help_heading = "Verdict", value_parser = parse_duration)]
    drain: Option<Duration>,
    /// Watch for so long after that for what comes late and twice [default: 3s]
    #[arg(long, value_name = "DURATION", help_heading = "Verdict", value_parser = parse_duration)]
    settle: Option<Duration>,
    /// Compare with a result.json, or with the last result of this instance that is like it
    #[arg(long, value_name = "FILE|last", help_heading = "Verdict")]
    pub(super) baseline: Option<Named>,
    /// What is no difference from the baseline
    #[arg(long, value_name = "PERCENT", help_heading = "Verdict", default_value = "10%", value_parser = percentage)]
    tolerance: f64,
    /// Which figures count against the baseline: p50, p95, p99, errors, throughput
    #[arg(
        long,
        value_name = "LIST",
        help_heading = "Verdict",
        value_delimiter = ',',
        default_value = "p95,errors,throughput"
    )]
    fail_on: Vec<Figure>,

    /// Write the reports here [default: a directory of the run in the instance's state; the newest 20 are kept]
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub(super) out: Option<PathBuf>,
    /// Which: html, md, json, junit [default: all]
    #[arg(
        long,
        value_name = "LIST",
        help_heading = "Results",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    report: Vec<Kind>,
    /// Leave what it made on the platform
    #[arg(long, help_heading = "Results")]
    pub(super) keep: bool,
}

impl RunArgs {
    /// The plan.
    ///
    /// # Errors
    /// The flags contradict each other, or nobody could carry it out.
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let mut plan = self.preset.map_or_else(presets::custom, Preset::plan);
        if self.slo.contains(&Promise::NoDefaults) {
            plan.slo.clear();
        }
        plan.settle = self.settle.unwrap_or(plan.settle);
        let promises = self.slo.iter().filter_map(|promise| match promise {
            Promise::NoDefaults => None,
            Promise::Slo(slo) => Some(slo.clone()),
        });
        let changes = Overrides {
            model: self.model,
            users: self.users,
            rate: self.rate.map(Rate::per_second),
            duration: self.duration,
            ramp: self.ramp,
            steps: (!self.steps.is_empty()).then(|| self.steps.clone()),
            think: self.think,
            journey: self.journey.clone(),
            slo: promises.collect(),
            abort_on: self.abort_on.clone(),
            min_samples: self.min_samples,
            max_degradation: self.max_degradation,
            drain: self.drain,
        };
        plan.with(changes)
            .map_err(|error| Failure::new("usage", Exit::Usage, error.to_string()).fix("cardctl loadtest run --help"))
    }

    /// What is taken as a regression.
    pub(super) fn options(&self) -> Options {
        Options { tolerance: self.tolerance, fail_on: self.fail_on.clone(), baseline: None }
    }

    /// The reports that are wanted, each once, in their own order.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.report.is_empty() || self.report.contains(kind);
        Kind::value_variants().iter().copied().filter(wanted).collect()
    }
}
