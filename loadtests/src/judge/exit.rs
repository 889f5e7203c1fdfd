//! All verdicts in one exit code.

use card_core::exit::Exit;

use super::broken_rule;
use crate::result::{Report, Verdict};

/// What the judged parts of a document come to: the first of 9, 7, 10, 11 that applies, or [`Exit::Done`]. An SLO, the bound
/// on degradation and a rule to end before the time are promises alike.
pub(super) fn exit(report: &Report) -> Exit {
    let regression = report.regression.as_ref().map(|regression| regression.verdict);
    if report.correctness.verdict == Verdict::Fail {
        Exit::Incorrect
    } else if missed(report) {
        Exit::SloMissed
    } else if regression == Some(Verdict::Fail) {
        Exit::Regression
    } else if unsure(report) || regression == Some(Verdict::Inconclusive) {
        Exit::Inconclusive
    } else {
        Exit::Done
    }
}

/// The verdict that goes with it.
pub(super) const fn verdict(exit: Exit) -> Verdict {
    match exit {
        Exit::Done => Verdict::Pass,
        Exit::Inconclusive => Verdict::Inconclusive,
        _ => Verdict::Fail,
    }
}

fn missed(report: &Report) -> bool {
    // What breaks while a limit is searched for is the answer and no failure, unless nothing held.
    let beyond = match &report.breakpoint {
        Some(found) => found.holds.is_none() && found.breaks.is_some(),
        None => steps(report, Verdict::Fail) || broken_rule(report).is_some(),
    };
    beyond || promises(report, Verdict::Fail)
}

fn unsure(report: &Report) -> bool {
    let steps = report.breakpoint.is_none() && steps(report, Verdict::Inconclusive);
    let verdicts = [report.correctness.verdict, report.validity.verdict];
    steps || verdicts.contains(&Verdict::Inconclusive) || promises(report, Verdict::Inconclusive)
}

fn promises(report: &Report, verdict: Verdict) -> bool {
    report.slo.iter().any(|slo| slo.verdict == verdict)
}

fn steps(report: &Report, verdict: Verdict) -> bool {
    report.steps.iter().any(|step| step.verdict == verdict)
}
