//! The search for the limit: twice as much each step until a promise breaks, then halvings of the last interval.

use super::{Run, RunError};
use crate::judge;
use crate::moment::AtStep;
use crate::result::Verdict;
use crate::shard::merge;

impl Run<'_> {
    /// Courses at growing sizes.
    pub(super) async fn search(&mut self) -> Result<(), RunError> {
        let Some(growth) = self.setup.plan.growth else { return Ok(()) };
        let (mut holds, mut breaks) = (None, None);
        let mut size = growth.from;
        let mut refinements = growth.refinements;
        loop {
            let step = AtStep { number: self.courses.len() + 1, of: None, size };
            self.course(size, Some(step)).await?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
            // What is still queued has the longest ends: without them a size that breaks looks as if it held.
            self.recover().await;
            // A rule to end before the time is a promise that breaks, here as everywhere.
            let held = self.last_step_held();
            *if held { &mut holds } else { &mut breaks } = Some(size);
            size = match (holds, breaks) {
                (Some(holds), None) if holds >= growth.up_to => return Ok(()),
                (Some(holds), None) => f64::min(holds * 2.0, growth.up_to),
                // Not even the first: there is nothing below that was asked for.
                (None, _) => return Ok(()),
                (Some(_), Some(_)) if refinements == 0 => return Ok(()),
                (Some(holds), Some(breaks)) => {
                    refinements -= 1;
                    ((holds + breaks) / 2.0).round()
                }
            };
            if Some(size) == holds || Some(size) == breaks {
                return Ok(());
            }
        }
    }

    fn last_step_held(&self) -> bool {
        let Ok(mut report) = merge(vec![self.shard()], &[], None) else { return false };
        judge::judge(&mut report);
        report.steps.last().is_some_and(|step| step.verdict == Verdict::Pass)
    }
}
