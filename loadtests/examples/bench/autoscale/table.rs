//! What came out, in figures.

use super::plan::{TARGET_AGE, rush};
use super::sample::Sample;
use super::{Experiment, Side};

/// A row's name and its figure for each run.
type Row = (&'static str, fn(&Side) -> String);

const ROWS: [Row; 12] = [
    ("accepted, all settled once", |side| side.accepted.to_string()),
    ("not accepted", |side| match side.errors.is_empty() {
        true => "0".to_owned(),
        false => side.errors.iter().map(|(code, count)| format!("{count} {code}")).collect::<Vec<_>>().join(", "),
    }),
    ("workers at most", |side| side.most_workers().to_string()),
    ("workers at the end", |side| side.samples.last().map_or(0, |sample| sample.workers).to_string()),
    ("completed in the rush, mean", |side| format!("{:.0}/s", side.completed_in_rush())),
    ("largest backlog", |side| side.largest_backlog().to_string()),
    ("oldest age at most", |side| format!("{:.1} s", side.oldest_age())),
    ("time with the oldest beyond its target", |side| format!("{} s", side.late())),
    ("end to end p50, p95, most", |side| side.end_to_end_s.map(|seconds| format!("{seconds:.1} s")).join(", ")),
    ("CPU of a worker in the rush, mean", |side| {
        format!("{:.2} cores", mean(side.rushing().filter_map(|sample| sample.cpu)))
    }),
    ("CPU of a worker at most", |side| format!("{:.2} cores", side.most_cpu())),
    ("workers that CPU alone would want at most", |side| {
        side.samples.iter().filter_map(|sample| sample.cpu_wants).max().unwrap_or(0).to_string()
    }),
];

/// A table in Markdown, as `docs/scaling.md` has it.
pub(super) fn lines(experiment: &Experiment) -> Vec<String> {
    let sides = || experiment.sides.iter();
    let line = |name: &str, figures: Vec<String>| format!("| {name} | {} |", figures.join(" | "));
    let heading = line("", sides().map(|side| format!("`{}`", side.metric.name())).collect());
    let rule = line("---", sides().map(|_| "---:".to_owned()).collect());
    let rows = ROWS.iter().map(|(name, figure)| line(name, sides().map(figure).collect()));
    [heading, rule].into_iter().chain(rows).collect()
}

impl Side {
    pub(super) fn most_workers(&self) -> usize {
        self.samples.iter().map(|sample| sample.workers).max().unwrap_or(0)
    }

    pub(super) fn largest_backlog(&self) -> u64 {
        self.samples.iter().filter_map(|sample| sample.backlog).max().unwrap_or(0)
    }

    /// Seconds.
    pub(super) fn oldest_age(&self) -> f64 {
        most(self.samples.iter().filter_map(|sample| sample.oldest_age_s))
    }

    /// Of a worker, in cores.
    pub(super) fn most_cpu(&self) -> f64 {
        most(self.samples.iter().filter_map(|sample| sample.cpu))
    }

    /// A second.
    pub(super) fn completed_in_rush(&self) -> f64 {
        mean(self.rushing().map(|sample| sample.completed))
    }

    fn rushing(&self) -> impl Iterator<Item = &Sample> {
        let (from, to) = rush();
        self.samples.iter().filter(move |sample| sample.t > from && sample.t <= to)
    }

    /// Seconds, as many as there are samples of one second.
    fn late(&self) -> usize {
        self.samples.iter().filter(|sample| sample.oldest_age_s.is_some_and(|age| age > TARGET_AGE)).count()
    }
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}
