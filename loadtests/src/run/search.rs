//! The search for the limit: twice as much each step until a promise breaks, then halvings of the last interval.

use super::{Run, RunError};
use crate::judge;
use crate::moment::AtStep;
use crate::plan::Growth;
use crate::result::Verdict;
use crate::shard::merge;

impl Run<'_> {
    /// Courses at growing sizes.
    pub(super) async fn search(&mut self) -> Result<(), RunError> {
        let Some(growth) = self.setup.plan.growth else { return Ok(()) };
        let (mut search, mut next) = (Search::new(growth), Some(growth.from));
        while let Some(size) = next {
            let step = AtStep { number: self.courses.len() + 1, of: None, size };
            self.course(size, Some(step)).await?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
            // What is still queued has the longest ends: without them a size that breaks looks as if it held.
            self.recover().await;
            // A rule to end before the time is a promise that breaks, here as everywhere.
            next = search.after(size, self.last_step_held());
        }
        Ok(())
    }

    fn last_step_held(&self) -> bool {
        let Ok(mut report) = merge(vec![self.shard()], &[], None) else { return false };
        judge::judge(&mut report);
        report.steps.last().is_some_and(|step| step.verdict == Verdict::Pass)
    }
}

/// What is known of the limit.
#[derive(Debug)]
pub(super) struct Search {
    up_to: f64,
    refinements: u32,
    holds: Option<f64>,
    breaks: Option<f64>,
}

impl Search {
    /// Nothing is.
    pub(super) const fn new(growth: Growth) -> Self {
        Self { up_to: growth.up_to, refinements: growth.refinements, holds: None, breaks: None }
    }

    /// The size to try after one that held or did not; none at the end.
    pub(super) fn after(&mut self, size: f64, held: bool) -> Option<f64> {
        *if held { &mut self.holds } else { &mut self.breaks } = Some(size);
        let next = match (self.holds, self.breaks) {
            (Some(holds), None) if holds >= self.up_to => return None,
            (Some(holds), None) => f64::min(holds * 2.0, self.up_to),
            // Not even the first: there is nothing below that was asked for.
            (None, _) => return None,
            (Some(_), Some(_)) if self.refinements == 0 => return None,
            (Some(holds), Some(breaks)) => {
                self.refinements -= 1;
                ((holds + breaks) / 2.0).round()
            }
        };
        (Some(next) != self.holds && Some(next) != self.breaks).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every size that is tried on a platform that holds what is below its limit.
    fn sizes(from: f64, up_to: f64, refinements: u32, limit: f64) -> Vec<f64> {
        let mut search = Search::new(Growth { from, up_to, refinements });
        let mut sizes = vec![from];
        while let Some(size) = sizes.last().copied().and_then(|size| search.after(size, size < limit)) {
            sizes.push(size);
        }
        sizes
    }

    #[test]
    fn the_search_grows_until_a_promise_breaks_and_comes_closer() {
        assert_eq!(sizes(50.0, 1000.0, 1, 150.0), [50.0, 100.0, 200.0, 150.0]);
        assert_eq!(sizes(50.0, 1000.0, 3, 151.0), [50.0, 100.0, 200.0, 150.0, 175.0, 163.0]);
        assert_eq!(sizes(50.0, 1000.0, 0, 150.0), [50.0, 100.0, 200.0]);
    }

    #[test]
    fn the_search_ends_where_there_is_nothing_more_to_find() {
        assert_eq!(sizes(50.0, 150.0, 3, 1000.0), [50.0, 100.0, 150.0], "no further than asked");
        assert_eq!(sizes(50.0, 150.0, 3, 1.0), [50.0], "nor below");
        assert_eq!(sizes(1.0, 100.0, 9, 3.0), [1.0, 2.0, 4.0, 3.0], "nor between two that are next to each other");
    }
}
