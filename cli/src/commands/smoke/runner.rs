//! Runs the steps one after another, shows them, and makes the verdict.

use std::time::Duration;

use card_client::ClientError;
use card_client::events::StreamLost;
use card_core::ids::RunId;
use serde::Serialize;
use tokio::time::Instant;

use super::artifacts::Artifacts;
use crate::commands::watch::screen::milliseconds;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Bar, Format, Paint};
use card_core::exit::Exit;

/// What became of a step.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) ok: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) skipped: bool,
    pub(super) ms: u64,
    pub(super) detail: String,
    /// How the program ends because of it.
    #[serde(skip)]
    pub(super) exit: Option<Exit>,
}

/// Why a step did not end well.
pub(super) enum Miss {
    /// The platform does not do what it should.
    Wrong(String),
    /// The platform broke a promise: something was lost, doubled or stuck.
    Incorrect(String),
    /// It could not be found out.
    Unknown(String),
    /// It can't be tried here.
    Skipped(String),
}

impl From<ClientError> for Miss {
    fn from(error: ClientError) -> Self {
        let text = format!("{}: {error}", error.name());
        if error.problem().is_some() { Self::Wrong(text) } else { Self::Unknown(text) }
    }
}

impl From<StreamLost> for Miss {
    fn from(lost: StreamLost) -> Self {
        Self::Unknown(lost.to_string())
    }
}

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) verdict: &'static str,
    pub(super) run: RunId,
    pub(super) seed: u64,
    pub(super) steps: Vec<Step>,
}

impl Verdict {
    pub(super) fn of(run: RunId, seed: u64, steps: Vec<Step>) -> Self {
        let verdict = if steps.iter().all(|step| step.ok) { "pass" } else { "fail" };
        Self { verdict, run, seed, steps }
    }

    /// Of several reasons the gravest: incorrect, then wrong, then unknown.
    pub(super) fn exit(&self) -> Exit {
        let exits: Vec<_> = self.steps.iter().filter(|step| !step.ok).map(|step| step.exit).collect();
        let of = |exit| exits.contains(&Some(exit));
        match () {
            () if exits.is_empty() => Exit::Done,
            () if of(Exit::Incorrect) => Exit::Incorrect,
            () if of(Exit::WorkFailed) => Exit::WorkFailed,
            () => Exit::Unknown,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    step: &'a Step,
}

/// Runs steps.
pub(super) struct Runner<'a> {
    context: &'a Context,
    artifacts: &'a Artifacts,
    limit: Duration,
    given_up: Option<&'static str>,
    always: bool,
    steps: Vec<Step>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(context: &'a Context, artifacts: &'a Artifacts, limit: Duration) -> Self {
        Self { context, artifacts, limit, given_up: None, always: false, steps: Vec::new() }
    }

    /// The steps from here on make no sense.
    pub(super) fn give_up(&mut self, why: &'static str) {
        self.given_up = Some(why);
    }

    /// The steps from here on are run even if the command was asked to stop.
    pub(super) fn always(&mut self) {
        self.always = true;
    }

    /// Runs a step and shows it; says whether it went well. The step's own clean-up is inside of it, so it is never
    /// dropped half-way for a stop: it looks at the stop itself, and the limit bounds it.
    pub(super) async fn step(
        &mut self,
        name: &str,
        step: impl Future<Output = Result<String, Miss>>,
    ) -> Result<bool, Failure> {
        let begun = Instant::now();
        let spinner = self.spinner(name);
        let outcome = match self.given_up {
            Some(why) => Err(Miss::Unknown(format!("not run: {why}"))),
            None if self.context.stop.is_cancelled() && !self.always => {
                Err(Miss::Unknown("not run: interrupted".to_owned()))
            }
            None => tokio::time::timeout(self.limit, step)
                .await
                .unwrap_or_else(|_| Err(Miss::Wrong(format!("not finished within {} s", self.limit.as_secs())))),
        };
        drop(spinner);
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ok, skipped, exit, detail) = match outcome {
            Ok(detail) => (true, false, None, detail),
            Err(Miss::Skipped(why)) => (true, true, None, why),
            Err(Miss::Wrong(why)) => (false, false, Some(Exit::WorkFailed), why),
            Err(Miss::Incorrect(why)) => (false, false, Some(Exit::Incorrect), why),
            Err(Miss::Unknown(why)) => (false, false, Some(Exit::Unknown), why),
        };
        let step = Step { name: name.to_owned(), ok, skipped, ms, detail, exit };
        self.artifacts.log(&line(&step, Paint::plain()));
        self.show(&step)?;
        self.steps.push(step);
        Ok(ok)
    }

    pub(super) fn verdict(self, run: RunId, seed: u64) -> Verdict {
        Verdict::of(run, seed, self.steps)
    }

    fn spinner(&self, name: &str) -> Option<Bar> {
        let bar = self.context.printer.bar("{spinner} {msg}")?;
        bar.show(name);
        bar.spin(Duration::from_millis(100));
        Some(bar)
    }

    fn show(&self, step: &Step) -> Result<(), Failure> {
        let printer = &self.context.printer;
        match printer.format() {
            Format::Text => printer.text(line(step, printer.out())),
            Format::Jsonl => printer.data(&Line { kind: "step", step }),
            Format::Json => {
                printer.step(line(step, printer.err()));
                Ok(())
            }
        }
    }
}

/// The verdict: one line for people, the document for programs.
pub(super) fn show(verdict: &Verdict, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    let paint = printer.out();
    let failed = verdict.steps.iter().filter(|step| !step.ok).count();
    let total = Duration::from_millis(verdict.steps.iter().map(|step| step.ms).sum());
    let count = verdict.steps.len();
    printer.text(match failed {
        0 => format!("{}  {count} steps in {}", paint.good("✔ smoke passed"), milliseconds(total)),
        _ => format!("{}  {failed} of {count} steps, after {}", paint.bad("✘ smoke failed"), milliseconds(total)),
    })?;
    printer.data(verdict)
}

fn line(step: &Step, paint: Paint) -> String {
    let mark = match (step.ok, step.skipped) {
        (true, false) => paint.good("✔"),
        (true, true) => paint.warn("-"),
        (false, _) => paint.bad("✘"),
    };
    let took = if step.ms < 10_000 { format!("{} ms", step.ms) } else { format!("{} s", step.ms / 1000) };
    // The style takes no room.
    let took = format!("{}{}", " ".repeat(7_usize.saturating_sub(took.len())), paint.dim(took));
    let skipped = if step.ok && step.skipped { "skipped: " } else { "" };
    format!("{mark} {:<22} {took}  {skipped}{}", step.name, step.detail)
}
