//! A course that all generators ran, as one.

use std::collections::BTreeMap;

use super::place::Places;
use super::{mean, rates, reads, share, within};
use crate::plan::{Model, Plan};
use crate::result::{Sample, Step};
use crate::shard::{Figures, Shard};

/// One course of all of them.
pub(super) struct Joined {
    size: f64,
    from_s: f64,
    measured_s: (f64, f64),
    pub(super) planned: Option<u64>,
    aborted: Option<String>,
    pub(super) steady: Figures,
    pub(super) ramp: Figures,
}

/// Every course that anybody ran. Where on the timeline it lies is taken from the generator that the timeline is of, or
/// the first that ran it.
pub(super) fn join(shards: &[Shard], places: &Places) -> Vec<Joined> {
    let courses = shards.iter().map(|shard| shard.courses.len()).max().unwrap_or(0);
    (0..courses).filter_map(|index| joined(shards, places, index)).collect()
}

fn joined(shards: &[Shard], places: &Places, index: usize) -> Option<Joined> {
    let ran = |shard: usize| shards[shard].courses.get(index);
    let reference = std::iter::once(places.reference()).chain(0..shards.len()).find(|shard| ran(*shard).is_some())?;
    let (of, shift) = (ran(reference)?, places.shift(reference));
    let mut joined = Joined {
        size: of.size,
        from_s: of.from_s + shift,
        measured_s: (of.measured_s.0 + shift, of.measured_s.1 + shift),
        planned: None,
        aborted: None,
        steady: Figures::default(),
        ramp: Figures::default(),
    };
    for (number, course) in (0..shards.len()).filter_map(|shard| Some((shard, ran(shard)?))) {
        joined.steady.add(&course.steady);
        joined.ramp.add(&course.ramp);
        joined.planned = match (joined.planned, course.planned) {
            (Some(sum), Some(planned)) => Some(sum + planned),
            (sum, planned) => sum.or(planned),
        };
        let by = shards[number].share;
        let aborted = course.aborted.as_ref().map(|rule| match by.is_whole() {
            true => rule.clone(),
            false => format!("{rule} (generator {})", by.number()),
        });
        joined.aborted = joined.aborted.or(aborted);
    }
    Some(joined)
}

impl Joined {
    /// The seconds of its measured time.
    pub(super) fn within<'t>(&self, timeline: &'t [Sample]) -> impl DoubleEndedIterator<Item = &'t Sample> + use<'t> {
        within(timeline, self.measured_s)
    }

    /// It as a step.
    pub(super) fn step(&self, plan: &Plan, timeline: &[Sample]) -> Step {
        let measured: Vec<&Sample> = self.within(timeline).collect();
        let of = &self.steady;
        let (accept, e2e) = (of.accept_intended.percentiles(), of.e2e_intended.percentiles());
        let (queue_wait, work) = (of.queue_wait.percentiles(), of.work.percentiles());
        let closed = plan.model == Model::Closed;
        let mut backlog = measured.iter().filter_map(|sample| sample.backlog);
        let first = backlog.next();
        let last = backlog.next_back();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
        let users = self.size.round() as u64;
        Step {
            users: closed.then_some(users),
            ended_early: self.aborted.clone(),
            rate: (!closed).then_some(self.size),
            from_s: self.from_s,
            to_s: self.measured_s.1,
            accept_intended_ms: accept,
            accept_ms: of.accept.percentiles(),
            e2e_intended_ms: e2e,
            e2e_ms: of.e2e.percentiles(),
            queue_wait_ms: queue_wait,
            work_ms: work,
            reads: reads(of, &measured),
            accept_p50: accept.p50,
            accept_p95: accept.p95,
            accept_p99: accept.p99,
            e2e_p50: e2e.p50,
            e2e_p95: e2e.p95,
            e2e_p99: e2e.p99,
            n: accept.n,
            e2e_n: e2e.n,
            queue_wait_p95: queue_wait.p95,
            work_p95: work.p95,
            rates: rates(&measured),
            error_rate: share(of.errors, of.offered),
            foreign_ratio: foreign_ratio(of),
            main_foreign: most(&of.by_gateway),
            repeated_ratio: share(of.repeated, of.offered),
            unsent: of.unsent,
            main_error: most(&of.by_code),
            late_starts: share(of.late, of.offered),
            offered_ratio: self.planned.map(|planned| share(of.offered, planned)),
            generator_cpu: mean(measured.iter().map(|sample| sample.generator_cpu)).unwrap_or(0.0),
            machine_cpu: mean(measured.iter().filter_map(|sample| sample.machine_cpu)),
            #[expect(clippy::cast_precision_loss, reason = "a number of tasks")]
            backlog_growth: first.zip(last).map(|(first, last)| last as f64 - first as f64),
            ..Step::default()
        }
    }
}

/// Of all that came back, how much was not the platform's.
fn foreign_ratio(of: &Figures) -> f64 {
    let foreign = of.by_gateway.values().sum();
    let answers = of.offered + of.resent + of.status.percentiles().n + of.read.percentiles().n;
    share(foreign, answers.max(foreign))
}

fn most(counts: &BTreeMap<String, u64>) -> Option<String> {
    counts.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.clone())
}
