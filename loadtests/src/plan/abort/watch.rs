//! A rule that looks at a load, second after second.

use super::AbortRule;
use crate::plan::{Metric, Unit};
use crate::result::{Phase, Sample};

/// Counts how long it has been bad.
///
/// A second that can't answer (no accepts to take a latency of, nothing sent that could fail, a platform that does not
/// tell its backlog) neither counts nor interrupts: silence is no proof of either. Of the drain nothing counts, because
/// the load is over; of the ramp no rates do, because there the plan itself wants fewer.
#[derive(Debug, Clone)]
pub struct Watch {
    rule: AbortRule,
    /// The figures of the bad seconds in a row.
    bad: Row,
    /// Seconds in a row in which something was sent and nothing was answered.
    silent: u64,
    /// Whether the generator stood still in the second before: what came then is heard in this one.
    stood_still: bool,
}

/// A generator that stands still for longer makes a second that says nothing about the platform, in seconds.
const STOOD_STILL: f64 = 0.25;

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    seconds: u64,
    sum: f64,
}

impl Watch {
    pub(super) fn new(rule: AbortRule) -> Self {
        Self { rule, bad: Row::default(), silent: 0, stood_still: false }
    }

    /// Looks at the next second. Says why the load must end, if it must: `errors 7.2% (> 5%) for 10 s`, with the mean
    /// over those seconds.
    #[expect(clippy::cast_precision_loss, reason = "seconds of a load")]
    pub fn look(&mut self, second: &Sample) -> Option<String> {
        let actual = self.figure(second)?;
        if !self.rule.when.holds(actual) {
            self.bad = Row::default();
            return None;
        }
        self.bad = Row { seconds: self.bad.seconds + 1, sum: self.bad.sum + actual };
        let long_enough = self.bad.seconds >= self.rule.lasting.as_secs();
        long_enough.then(|| self.rule.reason(self.bad.sum / self.bad.seconds as f64))
    }

    fn figure(&mut self, second: &Sample) -> Option<f64> {
        let stands_still = second.stood_still >= STOOD_STILL;
        if std::mem::replace(&mut self.stood_still, stands_still) || stands_still {
            return None;
        }
        let counts = match second.phase {
            Phase::Steady => true,
            Phase::Ramp => self.rule.when.unit() != Unit::Rate,
            Phase::Drain => false,
        };
        let actual = self.rule.when.in_second(second).filter(|_| counts)?;
        if self.rule.when.metric == Metric::Errors { self.errors(second, actual) } else { Some(actual) }
    }

    /// A standstill has no errors: whoever waits has none yet. It counts as if all had failed, from its second second
    /// on, because the answers to a few requests may well fall into the next second.
    fn errors(&mut self, second: &Sample, actual: f64) -> Option<f64> {
        if second.accepted > 0.0 || second.reads > 0.0 {
            self.silent = 0;
            return Some(actual);
        }
        self.silent += 1;
        let answered = second.errors > 0.0;
        if answered || self.silent > 1 { Some(1.0) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(rule: &str) -> Watch {
        rule.parse::<AbortRule>().unwrap().watch()
    }

    fn sent(offered: f64, accepted: f64, errors: f64) -> Sample {
        Sample { phase: Phase::Steady, offered, accepted, errors, ..Sample::default() }
    }

    fn e2e_p95(millis: Option<f64>) -> Sample {
        Sample { e2e_p95: millis, ..sent(10.0, 10.0, 0.0) }
    }

    /// After which of these seconds the rule ends the load, counted from 1.
    fn ends(rule: &str, seconds: &[Sample]) -> Option<usize> {
        let mut watch = watch(rule);
        seconds.iter().position(|second| watch.look(second).is_some()).map(|index| index + 1)
    }

    #[test]
    fn a_rule_ends_the_load_when_it_was_bad_for_so_long_and_says_how_bad() {
        let mut watch = watch("errors>5% for 3s");
        let reasons = [6.0, 7.0, 8.0].map(|errors| watch.look(&sent(100.0, 100.0 - errors, errors)));
        assert_eq!(reasons, [None, None, Some("errors 7% (> 5%) for 3 s".to_owned())]);
    }

    #[test]
    fn a_good_second_begins_the_row_anew() {
        let (bad, good) = (sent(100.0, 90.0, 10.0), sent(100.0, 95.0, 5.0));
        assert_eq!(
            ends("errors>5% for 2s", &[bad.clone(), good.clone(), bad.clone(), good, bad.clone(), bad]),
            Some(6)
        );
    }

    #[test]
    fn without_for_one_second_is_enough() {
        assert_eq!(ends("e2e.p95>1s", &[e2e_p95(Some(1000.0)), e2e_p95(Some(1001.0))]), Some(2));
    }

    #[test]
    fn a_second_that_can_not_answer_neither_counts_nor_interrupts() {
        let (slow, silent) = (e2e_p95(Some(2000.0)), e2e_p95(None));
        assert_eq!(ends("e2e.p95>1s for 2s", &[slow.clone(), silent.clone(), silent.clone()]), None);
        assert_eq!(ends("e2e.p95>1s for 2s", &[slow.clone(), silent, slow]), Some(3));
        let unread = sent(10.0, 10.0, 0.0);
        let full = Sample { backlog: Some(11), ..unread.clone() };
        assert_eq!(ends("backlog>10 for 2s", &[full.clone(), unread, full]), Some(3));
    }

    #[test]
    fn nothing_sent_is_no_error() {
        assert_eq!(ends("errors>5%", &[sent(0.0, 0.0, 0.0), sent(0.0, 0.0, 3.0)]), None);
    }

    #[test]
    fn a_standstill_is_all_errors() {
        let mut watch = watch("errors>5% for 2s");
        let reasons = [(); 3].map(|()| watch.look(&sent(100.0, 0.0, 0.0)));
        assert_eq!(reasons, [None, None, Some("errors 100% (> 5%) for 2 s".to_owned())]);
        assert_eq!(ends("errors>5%", &[sent(100.0, 0.0, 1.0)]), Some(1), "one is answered, and with an error");
    }

    #[test]
    fn one_second_whose_answers_come_in_the_next_is_no_standstill() {
        let (asked, answered) = (sent(1.0, 0.0, 0.0), sent(1.0, 1.0, 0.0));
        assert_eq!(ends("errors>5%", &[asked.clone(), answered.clone(), asked, answered]), None);
    }

    #[test]
    fn a_second_in_which_the_generator_stood_still_and_the_one_after_it_say_nothing() {
        let slow = || e2e_p95(Some(3000.0));
        let still = Sample { stood_still: 2.4, lasted: 3.4, ..slow() };
        assert_eq!(ends("e2e.p95>1s", &[still.clone(), slow()]), None);
        assert_eq!(ends("e2e.p95>1s", &[still, slow(), slow()]), Some(3));
    }

    #[test]
    fn the_drain_ends_nothing_and_a_ramp_has_no_rate() {
        let low = |phase| Sample { phase, backlog: Some(99), ..sent(1.0, 1.0, 0.0) };
        assert_eq!(ends("accepted<10/s", &[low(Phase::Ramp), low(Phase::Drain)]), None);
        assert_eq!(ends("accepted<10/s", &[low(Phase::Steady)]), Some(1));
        assert_eq!(ends("backlog>10", &[low(Phase::Drain)]), None);
        assert_eq!(ends("backlog>10", &[low(Phase::Ramp)]), Some(1));
    }
}
