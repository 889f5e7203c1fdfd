//! What can be seen of several generators while they run: one look at all of them, and the rules that only the whole
//! can break.
//!
//! Counts are sums. Latencies are those of the slowest generator: what is shown is replaced by the true ones at the end.

use std::collections::VecDeque;
use std::time::Duration;

use super::wire::Progress;
use crate::moment::{Doing, Moment};
use crate::plan::{AbortRule, Plan, Watch};
use crate::result::Sample;
use card_client::latency::Percentiles;

/// Seconds that one may be behind before the others go on without it.
const BEHIND: usize = 3;
/// Seconds of backlog that a look carries.
const SPARK: usize = 60;

/// The generators of a load test.
pub struct Watched {
    generators: Vec<Generator>,
    seconds: Vec<Sample>,
    watches: Vec<Watch>,
}

#[derive(Default)]
struct Generator {
    last: Option<Progress>,
    seconds: VecDeque<Sample>,
    gone: bool,
}

impl Watched {
    /// So many, none of whom has said anything yet.
    #[must_use]
    pub fn new(plan: &Plan, generators: u64) -> Self {
        let generators: Vec<Generator> = (0..generators).map(|_| Generator::default()).collect();
        // One alone has all rules itself; a latency is looked at by each, because the whole's is known at the end only.
        let of_all = |rule: &&AbortRule| generators.len() > 1 && !rule.when.is_latency();
        let watches = plan.abort_on.iter().filter(of_all).map(AbortRule::watch).collect();
        Self { generators, seconds: Vec::new(), watches }
    }

    /// One says how far it is. Returns why the load must end, if it must: a rule that all of them break, or one of them.
    pub fn take(&mut self, progress: Progress) -> Option<String> {
        let number = progress.generator;
        let broken = progress.broken.as_ref().map(|rule| format!("{rule} (generator {number})"));
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let generator = self.generators.get_mut(index)?;
        generator.seconds.extend(progress.second.clone());
        generator.last = Some(progress);
        broken.or_else(|| self.whole_seconds())
    }

    /// One says nothing more.
    pub fn gone(&mut self, number: u64) {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        if let Some(generator) = index.and_then(|index| self.generators.get_mut(index)) {
            generator.gone = true;
        }
    }

    /// How many have said something.
    #[must_use]
    pub fn present(&self) -> usize {
        self.generators.iter().filter(|generator| generator.last.is_some()).count()
    }

    /// A look at all of them.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let lasts = || self.generators.iter().filter_map(|generator| generator.last.as_ref());
        let active = || self.generators.iter().filter(|generator| !generator.gone).filter_map(|one| one.last.as_ref());
        // Those that are not there yet are preparing; what all do is what the last of them does.
        let all_there = self.generators.iter().all(|generator| generator.gone || generator.last.is_some());
        let at = |progress: &&Progress| (progress.step.map(|step| step.number), progress.doing);
        let least = active().min_by_key(at).or_else(|| lasts().max_by_key(at));
        let Some(least) = least.filter(|_| all_there) else {
            return Moment {
                elapsed: millis(lasts().map(|last| last.elapsed_ms).max().unwrap_or(0)),
                ..Moment::default()
            };
        };
        let sum = |of: fn(&Progress) -> u64| lasts().map(of).sum();
        let doing =
            if least.doing == Doing::Preparing && !self.seconds.is_empty() { Doing::Drain } else { least.doing };
        Moment {
            doing,
            elapsed: millis(lasts().map(|last| last.elapsed_ms).max().unwrap_or(0)),
            course: millis(least.course_ms),
            into_course: millis(least.into_course_ms),
            step: least.step,
            second: self.seconds.last().cloned(),
            offered: sum(|last| last.offered),
            accepted: sum(|last| last.accepted),
            completed: sum(|last| last.completed),
            errors: sum(|last| last.errors),
            accept: slowest(lasts().map(|last| last.accept)),
            e2e: slowest(lasts().map(|last| last.e2e)),
            backlog: self.seconds.iter().rev().take(SPARK).rev().filter_map(|second| second.backlog).collect(),
            broken: None,
        }
    }

    /// Puts together the seconds that all have told.
    fn whole_seconds(&mut self) -> Option<String> {
        let mut broken = None;
        loop {
            let waits = self.generators.iter().any(|one| !one.gone && one.seconds.is_empty());
            let behind = self.generators.iter().map(|one| one.seconds.len()).max().unwrap_or(0);
            if behind == 0 || (waits && behind <= BEHIND) {
                return broken;
            }
            let told: Vec<Sample> = self.generators.iter_mut().filter_map(|one| one.seconds.pop_front()).collect();
            let Some(mut second) = whole(&told) else { return broken };
            if waits {
                // The sum is without somebody who has not ended: whatever rule it breaks, the platform did not.
                second.stood_still = second.lasted;
            }
            let rule = self.watches.iter_mut().find_map(|watch| watch.look(&second));
            broken = broken.or(rule);
            self.seconds.push(second);
        }
    }
}

fn whole(told: &[Sample]) -> Option<Sample> {
    let first = told.first()?;
    let sum = |of: fn(&Sample) -> f64| told.iter().map(of).sum();
    let most = |of: fn(&Sample) -> Option<u64>| told.iter().filter_map(of).max();
    let worst = |of: fn(&Sample) -> Option<f64>| told.iter().filter_map(of).reduce(f64::max);
    Some(Sample {
        offered: sum(|one| one.offered),
        accepted: sum(|one| one.accepted),
        completed: sum(|one| one.completed),
        errors: sum(|one| one.errors),
        reads: sum(|one| one.reads),
        resent: sum(|one| one.resent),
        foreign: sum(|one| one.foreign),
        unsent: sum(|one| one.unsent),
        stood_still: told.iter().map(|one| one.stood_still).fold(0.0, f64::max),
        stolen: worst(|one| one.stolen),
        throttled: worst(|one| one.throttled),
        accept_p50: worst(|one| one.accept_p50),
        accept_p95: worst(|one| one.accept_p95),
        accept_p99: worst(|one| one.accept_p99),
        e2e_p50: worst(|one| one.e2e_p50),
        e2e_p95: worst(|one| one.e2e_p95),
        e2e_p99: worst(|one| one.e2e_p99),
        read_p50: worst(|one| one.read_p50),
        read_p95: worst(|one| one.read_p95),
        read_p99: worst(|one| one.read_p99),
        backlog: most(|one| one.backlog),
        oldest_age_ms: most(|one| one.oldest_age_ms),
        workers: most(|one| one.workers),
        inflight: most(|one| one.inflight),
        generator_cpu: told.iter().map(|one| one.generator_cpu).fold(0.0, f64::max),
        machine_cpu: worst(|one| one.machine_cpu),
        ..first.clone()
    })
}

fn slowest(of: impl Iterator<Item = Percentiles>) -> Percentiles {
    of.fold(Percentiles::default(), |all, one| Percentiles {
        n: all.n + one.n,
        p50: all.p50.max(one.p50),
        p90: all.p90.max(one.p90),
        p95: all.p95.max(one.p95),
        p99: all.p99.max(one.p99),
        max: all.max.max(one.max),
        mean: all.mean.max(one.mean),
    })
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
