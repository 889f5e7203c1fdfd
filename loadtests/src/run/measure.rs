//! From meters and samples to the figures of the document.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::course::Course;
use super::{Run, machine};
use crate::audit::Audit;
use crate::meter::Meter;
use crate::plan::Model;
use crate::result::{
    Correctness, Distribution, Errors, Finding, Generator, Phase, Platform, Rates, Report, Sample, Step, Validity,
    Verdict,
};

impl Run<'_> {
    /// Everything that was measured so far; nothing of it is judged, and nothing audited.
    pub(super) fn report(&self) -> Report {
        let setup = self.setup;
        let timeline = self.timeline.samples();
        let meter = Meter::default();
        self.courses.iter().for_each(|course| meter.add(&course.meter));
        let ramps = Meter::default();
        self.courses.iter().for_each(|course| ramps.add(&course.ramp));
        let measured: Vec<&Sample> = self.courses.iter().flat_map(|course| within(&timeline, course)).collect();
        let stepped = !setup.plan.steps.is_empty() || setup.plan.growth.is_some();
        Report {
            v: 1,
            run: setup.run.to_string(),
            seed: setup.seed,
            target: setup.target.clone(),
            started_at: String::new(),
            took_ms: 0,
            platform: Platform {
                url: setup.client.url().to_owned(),
                version: self.version.clone(),
                workers: self.workers,
            },
            generator: Generator {
                version: card_core::VERSION.to_owned(),
                cores: machine::cores() as u64,
                shared: machine::is_here(setup.client.url()),
            },
            plan: setup.plan.clone(),
            verdict: Verdict::Inconclusive,
            exit: 0,
            ended_early: self.ended_early(),
            correctness: Correctness::default(),
            accept_ms: meter.accept.percentiles(),
            accept_intended_ms: meter.accept_intended.percentiles(),
            e2e_ms: meter.e2e.percentiles(),
            e2e_intended_ms: meter.e2e_intended.percentiles(),
            queue_wait_ms: meter.queue_wait.percentiles(),
            work_ms: meter.work.percentiles(),
            status_ms: Some(meter.status.percentiles()).filter(|status| status.n > 0),
            distribution: Distribution {
                accept: meter.accept_intended.distribution(),
                e2e: meter.e2e_intended.distribution(),
            },
            rates: rates(&measured),
            errors: errors(&meter, &ramps),
            slo: Vec::new(),
            steps: if stepped {
                self.courses.iter().map(|course| self.step(course, &timeline)).collect()
            } else {
                Vec::new()
            },
            breakpoint: None,
            validity: self.validity(&meter, &measured),
            regression: None,
            timeline,
        }
    }

    fn step(&self, course: &Course, timeline: &[Sample]) -> Step {
        let measured: Vec<&Sample> = within(timeline, course).collect();
        let meter = &course.meter;
        let (accept, e2e) = (meter.accept_intended.percentiles(), meter.e2e_intended.percentiles());
        let (queue_wait, work) = (meter.queue_wait.percentiles(), meter.work.percentiles());
        let closed = self.setup.plan.model == Model::Closed;
        let mut backlog = measured.iter().filter_map(|sample| sample.backlog);
        let first = backlog.next();
        let last = backlog.next_back();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
        let users = course.size.round() as u64;
        Step {
            users: closed.then_some(users),
            ended_early: course.aborted.clone(),
            rate: (!closed).then_some(course.size),
            from_s: course.from_s,
            to_s: course.measured_s.1,
            accept_intended_ms: accept,
            accept_ms: meter.accept.percentiles(),
            e2e_intended_ms: e2e,
            e2e_ms: meter.e2e.percentiles(),
            queue_wait_ms: queue_wait,
            work_ms: work,
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
            error_rate: share(count(&meter.errors), count(&meter.offered)),
            main_error: meter.by_code().into_iter().max_by_key(|(_, count)| *count).map(|(code, _)| code.to_owned()),
            late_starts: share(count(&meter.late), count(&meter.offered)),
            offered_ratio: course.planned.map(|planned| share(count(&meter.offered), planned)),
            generator_cpu: mean(measured.iter().map(|sample| sample.generator_cpu)).unwrap_or(0.0),
            machine_cpu: mean(measured.iter().filter_map(|sample| sample.machine_cpu)),
            #[expect(clippy::cast_precision_loss, reason = "a number of tasks")]
            backlog_growth: first.zip(last).map(|(first, last)| last as f64 - first as f64),
            ..Step::default()
        }
    }

    fn validity(&self, meter: &Meter, measured: &[&Sample]) -> Validity {
        let planned: Option<u64> = self.courses.iter().map(|course| course.planned).sum();
        let planned = planned.filter(|_| !self.courses.is_empty());
        let observer = &self.crew.observer;
        Validity {
            generator_cpu: mean(measured.iter().map(|sample| sample.generator_cpu)).unwrap_or(0.0),
            generator_cpu_max: measured.iter().map(|sample| sample.generator_cpu).fold(0.0, f64::max),
            machine_cpu: mean(measured.iter().filter_map(|sample| sample.machine_cpu)),
            late_starts: share(count(&meter.late), count(&meter.offered)),
            late_p99_ms: meter.lateness.percentiles().p99,
            offered_ratio: planned.map(|planned| share(count(&meter.offered), planned)),
            held_back: count(&meter.held_back),
            stream_gaps: observer.gaps(),
            stream_reconnects: observer.reconnects(),
            stream_lost: observer.lost().map(|lost| lost.to_string()),
            ..Validity::default()
        }
    }
}

impl From<Audit> for Correctness {
    fn from(audit: Audit) -> Self {
        let verdict = audit.verdict();
        let findings = audit.findings.into_iter().map(|finding| Finding {
            task: finding.task.to_string(),
            verdict: finding.verdict.as_str().to_owned(),
            detail: finding.detail,
        });
        Self {
            verdict,
            accepted: audit.accepted,
            succeeded: audit.succeeded,
            declined: audit.declined,
            dead: audit.dead,
            lost: audit.lost,
            duplicate: audit.duplicate,
            stuck: audit.stuck,
            unverified: audit.unverified,
            unanswered: audit.unanswered,
            drain_ms: audit.drain_ms,
            settle_ms: audit.settle_ms,
            audit_ms: audit.audit_ms,
            findings: findings.collect(),
            unverified_reason: audit.unverified_reason,
        }
    }
}

/// The samples of a course's measured time.
fn within<'t>(timeline: &'t [Sample], course: &Course) -> impl DoubleEndedIterator<Item = &'t Sample> + use<'t> {
    let (from, to) = course.measured_s;
    // A sample's time is that of its end, and the clock of the timeline ends a sample where a phase ends.
    timeline.iter().filter(move |sample| sample.phase == Phase::Steady && sample.t > from && sample.t <= to + 0.5)
}

/// Means over time: samples are about a second each, but the last of a stretch can be shorter.
fn rates(measured: &[&Sample]) -> Rates {
    let whole: f64 = measured.iter().map(|sample| sample.lasted).sum();
    let of = |rate: fn(&Sample) -> f64| {
        let counted: f64 = measured.iter().map(|sample| rate(sample) * sample.lasted).sum();
        if whole > 0.0 { counted / whole } else { 0.0 }
    };
    Rates {
        offered: of(|sample| sample.offered),
        accepted: of(|sample| sample.accepted),
        completed: of(|sample| sample.completed),
    }
}

/// Of all requests, those of the ramp among them: an error is none the less one.
fn errors(meter: &Meter, ramps: &Meter) -> Errors {
    let mut by_code: BTreeMap<String, u64> = BTreeMap::new();
    for (code, count) in meter.by_code().into_iter().chain(ramps.by_code()) {
        *by_code.entry(code.to_owned()).or_insert(0) += count;
    }
    let failed = count(&meter.errors) + count(&ramps.errors);
    Errors { rate: share(failed, count(&meter.offered) + count(&ramps.offered)), by_code }
}

fn count(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "a number of samples")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_u64), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}
