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
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl loadtest run smoke                    run 10 users for 15 seconds
  cardctl loadtest run -u 100 -d 2m --ramp 20s --slo 'e2e.p95<2s' --slo 'errors<0.1%'
  cardctl loadtest run --steps 10,100,1000 -d 30s --max-degradation 10%
  cardctl loadtest run --rate 200/s -d 1m --journey submit:6,add:1
  cardctl loadtest run -u 2000 -d 5m --runner job --generators 4    run it inside the cluster
  cardctl loadtest run breakpoint               increase the load until an SLO is missed
  cardctl loadtest run baseline --baseline last --tolerance 5% --out out";

const EXPLANATION: &str = "\
An SLO is a metric and its bound. Times: accept, e2e, queue-wait, work, each with .p50 .p90 .p95
.p99 .max .mean. Shares: errors, dead, declined. Rates: offered, accepted, completed. Others:
backlog, oldest-age. Defaults: errors<1%, dead<1%.

Every accepted request is followed to its final status and compared with what the platform reports;
the expected result comes from the sender's own journal. Everything that the run creates is removed,
unless it is evidence.

Exit codes: 0 passed, 9 lost, duplicate or stuck tasks or stale reads, 7 SLO missed, 10 regression
against the baseline, 11 inconclusive; see cardctl help exit-codes for the others";

/// Examples, the presets, and the default SLOs.
fn after_help() -> String {
    let presets: Vec<_> =
        Preset::ALL.iter().map(|preset| format!("  {:<11} {}", preset.as_str(), preset.about())).collect();
    format!("{EXAMPLES}\n\nPresets:\n{}\n\n{EXPLANATION}", presets.join("\n"))
}

/// Run a load test: load, drain, audit, verdict, reports
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(in super::super) struct RunArgs {
    /// Preset to start from: smoke, baseline, ramp, spike, soak or breakpoint; flags override it
    #[arg(value_name = "PRESET")]
    preset: Option<Preset>,

    /// Concurrent users [default: 50]
    #[arg(short, long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    users: Option<u64>,
    /// Duration of the load after the ramp [default: 30s]
    #[arg(short, long, value_name = "DURATION", help_heading = "Load", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Duration of the ramp-up; audited, but not measured [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Load", value_parser = parse_duration)]
    ramp: Option<Duration>,
    /// Run the same load at each of these sizes, one after another
    #[arg(long, value_name = "N,N,…", help_heading = "Load", value_delimiter = ',', value_parser = size)]
    steps: Vec<f64>,
    /// Load model: closed (users wait for their answers) or open (requests arrive at a fixed rate) [default: closed]
    #[arg(long, value_name = "MODEL", help_heading = "Load", value_parser = model)]
    model: Option<Model>,
    /// Arrival rate, such as 200/s; implies the open model [default: none]
    #[arg(long, value_name = "RATE", help_heading = "Load")]
    rate: Option<Rate>,
    /// Think time of a user between requests, such as 500ms, or random from 200ms..1s [default: 0]
    #[arg(long, value_name = "DURATION", help_heading = "Load", value_parser = think)]
    think: Option<Think>,
    /// Journey of the users: submit, submit-status, add or mixed, or several with weights: submit:6,add:1 [default: submit]
    #[arg(long, value_name = "MIX", help_heading = "Load")]
    journey: Option<Mix>,
    /// Seed of the generated requests [default: random; printed]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(super) seed: Option<u64>,
    /// Load generator: local (this process) or job (a Kubernetes Job beside the platform)
    #[arg(
        long,
        value_name = "WHERE",
        help_heading = "Load",
        value_enum,
        default_value = "local",
        hide_possible_values = true
    )]
    pub(super) runner: Runner,
    /// Number of generators that share the load, each a process or, with --runner job, a pod [default: 1]
    #[arg(long, value_name = "N", help_heading = "Load", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100), hide_default_value = true)]
    pub(super) generators: u64,
    /// Image of card-generator, with --runner job [default: the one that `up` loaded or pushed]
    #[arg(long, value_name = "REFERENCE", value_parser = reference, help_heading = "Load")]
    pub(super) image: Option<String>,

    /// SLO, such as 'e2e.p95<2s' or 'errors<1%'; replaces the default for the same metric; none removes the defaults
    #[arg(long, value_name = "EXPR", help_heading = "Verdict")]
    slo: Vec<Promise>,
    /// Maximum slowdown of a step compared with the first, such as 10% [default: no limit]
    #[arg(long, value_name = "PERCENT", help_heading = "Verdict", value_parser = percentage)]
    max_degradation: Option<f64>,
    /// Stop early when this holds, such as 'errors>5% for 10s'
    #[arg(long, value_name = "RULE", help_heading = "Verdict")]
    abort_on: Vec<AbortRule>,
    /// Minimum number of samples for an SLO to count [default: 20]
    #[arg(long, value_name = "N", help_heading = "Verdict")]
    min_samples: Option<u64>,
    /// Maximum wait for accepted tasks to finish after the load [default: 60s]
    #[arg(long, value_name = "DURATION", help_heading = "Verdict", value_parser = parse_duration)]
    drain: Option<Duration>,
    /// Keep watching this long after the drain for late or duplicate events [default: 3s]
    #[arg(long, value_name = "DURATION", help_heading = "Verdict", value_parser = parse_duration)]
    settle: Option<Duration>,
    /// Baseline to compare with: a result.json, or last for this instance's latest comparable result [default: none]
    #[arg(long, value_name = "FILE|last", help_heading = "Verdict")]
    pub(super) baseline: Option<Named>,
    /// Tolerance against the baseline: smaller differences are ignored
    #[arg(long, value_name = "PERCENT", help_heading = "Verdict", default_value = "10%", value_parser = percentage)]
    tolerance: f64,
    /// Metrics compared with the baseline: p50, p95, p99, errors, throughput
    #[arg(
        long,
        value_name = "LIST",
        help_heading = "Verdict",
        value_delimiter = ',',
        default_value = "p95,errors,throughput"
    )]
    fail_on: Vec<Figure>,

    /// Output directory [default: a directory per run in the instance's state; the latest 20 are kept]
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub(super) out: Option<PathBuf>,
    /// Report formats: html, md, json, junit [default: all]
    #[arg(
        long,
        value_name = "LIST",
        help_heading = "Results",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    report: Vec<Kind>,
    /// Keep the generated users and tasks on the platform
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
