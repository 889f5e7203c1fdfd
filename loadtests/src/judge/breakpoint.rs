//! What a search for the limit found.

use super::limit::{self, Limit};
use super::{step, validity};
use crate::result::{Breakpoint, Report, Step, Verdict};

pub(super) fn find(report: &Report) -> Option<Breakpoint> {
    let growth = report.plan.growth?;
    let mut steps: Vec<&Step> = report.steps.iter().collect();
    steps.sort_by(|one, other| step::size(one).total_cmp(&step::size(other)));
    let bad = steps.iter().position(|step| step.verdict != Verdict::Pass);
    let good = steps[..bad.unwrap_or(steps.len())].last().copied();
    let breaks = steps.iter().find(|step| step.verdict == Verdict::Fail);
    let (limit, because) = match bad.map(|index| steps[index]) {
        Some(bad) => named(report, good, bad).unzip(),
        None => {
            let reached = good.is_some_and(|good| step::size(good) >= growth.up_to);
            (None, reached.then(|| "every SLO was met up to the largest size".to_owned()))
        }
    };
    Some(Breakpoint {
        holds: good.map(step::size),
        breaks: breaks.map(|step| step::size(step)),
        broke: bad.and_then(|index| steps[index].broke.clone()),
        accepted: good.map(|good| good.rates.accepted),
        limit: limit.map(|limit: Limit| limit.as_str().to_owned()),
        because,
    })
}

/// The limit at the first size that did not hold; none if that size could not be judged for another reason than the
/// generator.
fn named(report: &Report, good: Option<&Step>, bad: &Step) -> Option<(Limit, String)> {
    if bad.verdict == Verdict::Inconclusive && validity::of_step(report, bad).is_empty() {
        return None;
    }
    let first = report.steps.first()?;
    Some(limit::find(limit::Steps {
        first,
        good,
        bad,
        saturated: validity::saturated_at(report, bad).is_some(),
        held_back: report.validity.held_back > 0,
        shared: report.generator.shared,
    }))
}
