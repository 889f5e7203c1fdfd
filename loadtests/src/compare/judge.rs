//! Figure by figure: what it was, what it is, and whether that is worse.

use super::Options;
use super::noise::{Against, noise};
use crate::latency::Percentiles;
use crate::result::{Change, Report, Sample, Verdict};

/// A latency that rose by no more than this is no worse, whatever the fraction: timers and schedulers are no better.
pub const FLOOR_MS: f64 = 0.5;
/// What is taken as no difference in the share of errors: one percentage point, whatever the share was.
pub const ERRORS_TOLERANCE: f64 = 0.01;

/// The figure of one second, if it has one.
type OfSecond = fn(&Sample) -> Option<f64>;
/// The figure of a run.
type OfRun = fn(&Percentiles) -> f64;

pub(super) fn changes(before: &Report, after: &Report, options: &Options) -> Vec<Change> {
    let latencies: [(&str, OfRun, OfSecond, OfSecond); 3] = [
        ("p50", |run| run.p50, |second| second.accept_p50, |second| second.e2e_p50),
        ("p95", |run| run.p95, |second| second.accept_p95, |second| second.e2e_p95),
        ("p99", |run| run.p99, |second| second.accept_p99, |second| second.e2e_p99),
    ];
    let both = Both { before, after, options };
    let accept = latencies.map(|(stat, of_run, of_second, _)| {
        let runs = (&before.accept_intended_ms, &after.accept_intended_ms);
        both.latency(&format!("accept.{stat}"), runs, of_run, of_second)
    });
    let e2e = latencies.map(|(stat, of_run, _, of_second)| {
        let runs = (&before.e2e_intended_ms, &after.e2e_intended_ms);
        both.latency(&format!("e2e.{stat}"), runs, of_run, of_second)
    });
    let rates = [
        both.rate("completed", (before.rates.completed, after.rates.completed), |second| Some(second.completed)),
        both.rate("accepted", (before.rates.accepted, after.rates.accepted), |second| Some(second.accepted)),
        both.errors(),
    ];
    accept.into_iter().chain(e2e).chain(rates).collect()
}

struct Both<'a> {
    before: &'a Report,
    after: &'a Report,
    options: &'a Options,
}

impl Both<'_> {
    fn latency(&self, figure: &str, runs: (&Percentiles, &Percentiles), of: OfRun, of_second: OfSecond) -> Change {
        let (before, after) = (of(runs.0), of(runs.1));
        let noise = noise(self.before, self.after, Against::Ratio, of_second);
        let verdict = if runs.0.n == 0 || runs.1.n == 0 {
            Verdict::Inconclusive
        } else if after - before <= FLOOR_MS {
            Verdict::Pass
        } else {
            judge(after / before - 1.0, self.options.tolerance, noise)
        };
        self.change(figure, (before, after), noise, verdict)
    }

    fn rate(&self, figure: &str, (before, after): (f64, f64), of_second: OfSecond) -> Change {
        let noise = noise(self.before, self.after, Against::Ratio, of_second);
        // Of a baseline that did nothing there is nothing to lose.
        let verdict = if self.without_requests() || before <= 0.0 {
            Verdict::Inconclusive
        } else {
            judge(1.0 - after / before, self.options.tolerance, noise)
        };
        self.change(figure, (before, after), noise, verdict)
    }

    fn errors(&self) -> Change {
        let (before, after) = (self.before.errors.rate, self.after.errors.rate);
        let share = |second: &Sample| (second.offered > 0.0).then(|| second.errors / second.offered);
        let noise = noise(self.before, self.after, Against::Difference, share);
        let verdict = if self.without_requests() {
            Verdict::Inconclusive
        } else {
            judge(after - before, ERRORS_TOLERANCE, noise)
        };
        self.change("errors", (before, after), noise, verdict)
    }

    fn without_requests(&self) -> bool {
        self.before.rates.offered <= 0.0 || self.after.rates.offered <= 0.0
    }

    fn change(&self, figure: &str, (before, after): (f64, f64), noise: Option<f64>, verdict: Verdict) -> Change {
        let change = (before > 0.0).then(|| after / before - 1.0).filter(|change| change.is_finite());
        let counts = self.options.fail_on.iter().any(|counted| counted.covers(figure));
        Change { figure: figure.to_owned(), before, after, change, noise, verdict, counts }
    }
}

/// `worse` is how much it changed for the worse; negative is better.
fn judge(worse: f64, tolerance: f64, noise: Option<f64>) -> Verdict {
    if worse <= tolerance {
        Verdict::Pass
    } else if noise.is_some_and(|noise| worse <= noise) {
        Verdict::Inconclusive
    } else {
        Verdict::Fail
    }
}
