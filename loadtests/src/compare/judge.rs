//! Figure by figure: what it was, what it is, and whether that is worse.

use super::Options;
use super::noise::noise;
use crate::result::{Change, Report, Verdict};
use card_client::latency::Percentiles;

/// A latency that rose by no more than this is no worse, whatever the fraction: timers and schedulers are no better.
pub const FLOOR_MS: f64 = 0.5;
/// What is taken as no difference in the share of errors: one percentage point, whatever the share was.
pub const ERRORS_TOLERANCE: f64 = 0.01;

pub(super) fn changes(before: &Report, after: &Report, options: &Options) -> Vec<Change> {
    let both = Both { before, after, options };
    let noise = noise(before, after);
    let accept = (&before.accept_intended_ms, &after.accept_intended_ms);
    let e2e = (&before.e2e_intended_ms, &after.e2e_intended_ms);
    let accept = both.latencies(["accept.p50", "accept.p95", "accept.p99"], accept, noise.accept);
    let e2e = both.latencies(["e2e.p50", "e2e.p95", "e2e.p99"], e2e, noise.e2e);
    let (then, now) = (&before.rates, &after.rates);
    let rates = [
        both.rate("completed", (then.completed, now.completed), noise.completed),
        both.rate("accepted", (then.accepted, now.accepted), noise.accepted),
        both.errors(noise.errors),
    ];
    accept.into_iter().chain(e2e).chain(rates).collect()
}

struct Both<'a> {
    before: &'a Report,
    after: &'a Report,
    options: &'a Options,
}

impl Both<'_> {
    /// p50, p95 and p99 under these names.
    fn latencies(
        &self,
        names: [&str; 3],
        (before, after): (&Percentiles, &Percentiles),
        noise: [Option<f64>; 3],
    ) -> [Change; 3] {
        let measured = before.n > 0 && after.n > 0;
        let before = [before.p50, before.p95, before.p99];
        let after = [after.p50, after.p95, after.p99];
        std::array::from_fn(|stat| {
            let (before, after, noise) = (before[stat], after[stat], noise[stat]);
            let verdict = if !measured {
                Verdict::Inconclusive
            } else if after - before <= FLOOR_MS {
                Verdict::Pass
            } else {
                judge(after / before - 1.0, self.options.tolerance, noise)
            };
            self.change(names[stat], (before, after), noise, verdict)
        })
    }

    fn rate(&self, name: &str, (before, after): (f64, f64), noise: Option<f64>) -> Change {
        // Of a baseline that did nothing there is nothing to lose.
        let verdict = if self.without_requests() || before <= 0.0 {
            Verdict::Inconclusive
        } else {
            judge(1.0 - after / before, self.options.tolerance, noise)
        };
        self.change(name, (before, after), noise, verdict)
    }

    fn errors(&self, noise: Option<f64>) -> Change {
        let (before, after) = (self.before.errors.rate, self.after.errors.rate);
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

    fn change(&self, name: &str, (before, after): (f64, f64), noise: Option<f64>, verdict: Verdict) -> Change {
        let change = (before > 0.0).then(|| after / before - 1.0).filter(|change| change.is_finite());
        let counts = self.options.fail_on.iter().any(|counted| counted.covers(name));
        Change { figure: name.to_owned(), before, after, change, noise, verdict, counts }
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
