//! All verdicts in one exit code.

use super::broken_rule;
use crate::result::{Report, Verdict};

/// How a load test ends. `cardctl help exit-codes` has the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything holds.
    Pass = 0,
    /// Something promised does not hold: an SLO, the bound on degradation, a rule to end before the time.
    SloMissed = 7,
    /// Something is lost, doubled or stuck.
    Incorrect = 9,
    /// Slower than the baseline.
    Regression = 10,
    /// Could not find out.
    Inconclusive = 11,
}

impl Exit {
    /// What the judged parts of a document come to: the first of 9, 7, 10, 11 that applies.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let regression = report.regression.as_ref().map(|regression| regression.verdict);
        if report.correctness.verdict == Verdict::Fail {
            Self::Incorrect
        } else if missed(report) {
            Self::SloMissed
        } else if regression == Some(Verdict::Fail) {
            Self::Regression
        } else if unsure(report) || regression == Some(Verdict::Inconclusive) {
            Self::Inconclusive
        } else {
            Self::Pass
        }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The verdict that goes with it.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Pass => Verdict::Pass,
            Self::Inconclusive => Verdict::Inconclusive,
            Self::SloMissed | Self::Incorrect | Self::Regression => Verdict::Fail,
        }
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
