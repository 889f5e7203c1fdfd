//! What follows from the figures: pure functions over the document.
//!
//! The runner fills in what was measured, [`judge`] what that means. Nothing is green without evidence: no samples, a
//! rate that was not reached, a generator without a processor make a result inconclusive. What counts for more comes
//! first in the exit code: 9 (lost, duplicate, stuck, stale), 7 (a promise broken), 10 (slower than a baseline), 11.
//!
//! Of steps, each keeps the promises by itself, and accepts may be slower than at the first by `max_degradation` at
//! most. A search for the limit is no failure because something broke in it: its promises are judged on the largest size
//! that held, and it fails if there is none.

mod breakpoint;
mod exit;
mod generators;
mod limit;
mod measured;
mod pace;
mod promise;
mod standstill;
mod step;
#[cfg(test)]
mod tests;
mod validity;
mod why;

use card_client::audit;

use crate::result::{Audit, Report, Verdict};

pub use self::limit::Limit;
pub use self::validity::weakened;
pub use self::why::why;

/// A reason to end before the time that begins so is an interruption and no broken rule.
pub const INTERRUPTED: &str = "interrupted";

/// Fills in every verdict, what broke at each step, what a search found, and the exit code. What was measured stays as
/// it is, so judging twice is judging once. The comparison with a baseline must be there already, if there is one.
pub fn judge(report: &mut Report) {
    let one_is_missing = generators::missing(report).next().is_some();
    report.correctness.verdict = correct(&report.correctness, one_is_missing);
    step::judge(report);
    report.breakpoint = breakpoint::find(report);
    report.slo = promise::judge(report);
    validity::judge(report);
    let exit = exit::exit(report);
    (report.verdict, report.exit) = (exit::verdict(exit), exit.code());
}

/// Whether what was accepted was done, once. A generator that is missing took its ledger with it: what that owes nobody
/// knows, so what the others prove is not all.
fn correct(found: &Audit, one_is_missing: bool) -> Verdict {
    let wrong = found.wrong().iter().map(|(count, _)| count).sum();
    match audit::verdict(found.accepted + found.reads, wrong, found.unverified) {
        Verdict::Pass if one_is_missing => Verdict::Inconclusive,
        verdict => verdict,
    }
}

fn interrupted(report: &Report) -> bool {
    report.ended_early.as_ref().is_some_and(|reason| reason.starts_with(INTERRUPTED))
}

/// The rule that ended the load before its time, in words.
fn broken_rule(report: &Report) -> Option<&str> {
    report.ended_early.as_deref().filter(|_| !interrupted(report))
}
