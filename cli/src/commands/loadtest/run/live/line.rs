//! A load test as lines: one at each change of what is being done, and one every few seconds between.

use std::time::Duration;

use card_loadtests::moment::{Doing, Moment};
use card_loadtests::plan::Model;
use card_loadtests::report::format;

use super::{clock, step, word};

/// Between two lines about the same.
const PAUSE: Duration = Duration::from_secs(5);

/// What was said last.
#[derive(Default)]
pub(super) struct Lines {
    said: Option<(Doing, usize)>,
    at: Duration,
}

impl Lines {
    /// The next line, if it is time for one.
    pub(super) fn next(&mut self, moment: &Moment, model: Model) -> Option<String> {
        let doing = (moment.doing, moment.step.map_or(0, |step| step.number));
        let changed = self.said != Some(doing);
        // While nothing is sent the figures of the last second stand still.
        let due = moment.elapsed.saturating_sub(self.at) >= PAUSE;
        if !changed && !due {
            return None;
        }
        (self.said, self.at) = (Some(doing), moment.elapsed);
        Some(line(moment, model))
    }
}

fn line(moment: &Moment, model: Model) -> String {
    let mut parts = vec![format!("{} {}", clock(moment.elapsed), word(moment.doing))];
    parts.extend(step(moment, model));
    match moment.doing {
        Doing::Preparing => {}
        Doing::Ramp | Doing::Steady => {
            if let Some(second) = &moment.second {
                parts.push(format!("offered {}", format::rate(second.offered)));
                parts.push(format!("accepted {}", format::rate(second.accepted)));
                parts.push(format!("completed {}", format::rate(second.completed)));
                parts.push(format!("errors {}", format::count(moment.errors)));
                for (name, latency) in [("accept", &moment.accept), ("e2e", &moment.e2e)] {
                    if latency.n > 0 {
                        parts.push(format!("{name} p95 {}", format::millis(latency.p95)));
                    }
                }
                parts.extend(second.backlog.map(|backlog| format!("backlog {}", format::count(backlog))));
                parts.extend(second.workers.map(|workers| format!("workers {workers}")));
            }
        }
        Doing::Drain | Doing::Settle | Doing::Audit => {
            parts.push(format!("accepted {}", format::count(moment.accepted)));
            parts.push(format!("completed {}", format::count(moment.completed)));
        }
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use card_loadtests::moment::AtStep;
    use card_loadtests::result::Sample;

    use super::*;

    #[test]
    fn a_line_comes_at_each_change_and_every_five_seconds() {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for (second, doing) in [(0, Doing::Preparing), (1, Doing::Ramp), (2, Doing::Ramp), (3, Doing::Steady)]
            .into_iter()
            .chain((4..12).map(|second| (second, Doing::Steady)))
            .chain([(12, Doing::Drain)])
        {
            let elapsed = Duration::from_secs(second);
            if lines.next(&Moment { doing, elapsed, ..Moment::default() }, Model::Closed).is_some() {
                said.push(second);
            }
        }
        assert_eq!(said, [0, 1, 3, 8, 12]);
    }

    #[test]
    fn a_line_says_what_is_known() {
        let sample = Sample { offered: 200.0, accepted: 199.5, completed: 176.0, ..Sample::default() };
        let moment = Moment {
            doing: Doing::Steady,
            elapsed: Duration::from_secs(95),
            step: Some(AtStep { number: 2, of: Some(3), size: 100.0 }),
            second: Some(Sample { backlog: Some(1402), workers: Some(4), ..sample }),
            errors: 3,
            ..Moment::default()
        };
        assert_eq!(
            line(&moment, Model::Closed),
            "01:35 steady  step 2 of 3: 100 users  offered 200/s  accepted 199.5/s  completed 176/s  errors 3  \
             backlog 1,402  workers 4"
        );
    }
}
