//! Made-up observations, and the shard that a generator would have of those that are its own.

use std::time::Duration;

use proptest::prelude::*;

use crate::plan::{Overrides, Plan, presets};
use crate::result::{Audit, Finding, Generator, Phase, Platform, Sample, Verdict};
use crate::shard::{CourseFigures, Figures, Shard, Stream, Taken, VERSION};
use crate::share::{Share, Skew};
use card_client::recorded::Recorded;

/// Seconds of a course that are measured, after one of ramp.
pub(super) const SECONDS: usize = 5;

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// Who sent it, from 0; of several generators the remainder counts.
    pub(super) by: usize,
    /// In which second, the ramp's being the first.
    pub(super) second: usize,
    /// In microseconds.
    pub(super) accept: u64,
    /// In microseconds.
    pub(super) e2e: u64,
    /// It was refused.
    pub(super) refused: bool,
    /// It was sent too late.
    pub(super) late: bool,
}

pub(super) fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = (0_usize..60, 0..=SECONDS, 1_u64..2_000_000, 1_u64..9_000_000, 0_u8..20, 0_u8..20);
    let request = request.prop_map(|(by, second, accept, e2e, refused, late)| {
        let e2e = accept.max(e2e);
        Request { by, second, accept, e2e, refused: refused == 0, late: late == 0 }
    });
    prop::collection::vec(request, 0..400)
}

pub(super) fn plan() -> Plan {
    let seconds = Duration::from_secs;
    let changes = Overrides {
        rate: Some(60.0),
        ramp: Some(seconds(1)),
        duration: Some(seconds(SECONDS as u64)),
        ..Overrides::default()
    };
    presets::custom().with(changes).unwrap()
}

/// What this part of them leaves behind. Its clock starts `later` seconds after that of the first.
pub(super) fn shard(requests: &[Request], share: Share, later: f64) -> Shard {
    let own = |request: &&Request| request.by as u64 % share.of() + 1 == share.number();
    let own: Vec<Request> = requests.iter().filter(own).copied().collect();
    let stretch = |ramp: bool| own.iter().filter(move |request| (request.second == 0) == ramp);
    let accepted = own.iter().filter(|request| !request.refused).count() as u64;
    let from_s = 3.0 - later;
    Shard {
        v: VERSION,
        share,
        run: "run_whole".to_owned(),
        own_run: share.run(&"run_whole".parse().unwrap()).to_string(),
        seed: 7,
        target: "test".to_owned(),
        plan: plan(),
        started_at: "2026-03-14T10:14:44Z".to_owned(),
        took_ms: 9_000,
        platform: Platform { workers: Some(2), ..Platform::default() },
        generator: Generator { version: "0.1.0".to_owned(), cores: 4, shared: false },
        machine: Some("one".to_owned()),
        skew: Some(Skew { ms: 2.0, within_ms: 0.5 }),
        ended_early: None,
        courses: vec![CourseFigures {
            size: 1.0,
            from_s,
            measured_s: (from_s + 1.0, from_s + 1.0 + SECONDS as f64),
            planned: Some(stretch(false).count() as u64),
            aborted: None,
            begun_at: None,
            late_ms: 0.0,
            steady: figures(stretch(false)),
            ramp: figures(stretch(true)),
        }],
        timeline: (0..=SECONDS).map(|second| taken(&own, second, from_s)).collect(),
        stream: Stream::default(),
        correctness: Audit {
            verdict: if accepted > 0 { Verdict::Pass } else { Verdict::Inconclusive },
            accepted,
            succeeded: accepted,
            drain_ms: 100 * share.number(),
            ..Audit::default()
        },
    }
}

/// The same with one that was lost.
pub(super) fn with_a_loss(mut shard: Shard, task: &str) -> Shard {
    let of = &mut shard.correctness;
    (of.verdict, of.succeeded, of.lost) = (Verdict::Fail, of.succeeded - 1, 1);
    let (task, verdict, detail) = (task.to_owned(), "lost".to_owned(), "gone".to_owned());
    of.findings.push(Finding { task, verdict, detail });
    shard
}

fn figures<'r>(requests: impl Iterator<Item = &'r Request>) -> Figures {
    let mut figures = Figures::default();
    for request in requests {
        figures.offered += 1;
        figures.late += u64::from(request.late);
        figures.lateness.record(if request.late { 20_000 } else { 1 });
        if request.refused {
            figures.errors += 1;
            *figures.by_code.entry("overloaded".to_owned()).or_insert(0) += 1;
            continue;
        }
        figures.accepted += 1;
        figures.completed += 1;
        for (recorded, micros) in [
            (&mut figures.accept, request.accept),
            (&mut figures.accept_intended, request.accept + 3),
            (&mut figures.e2e, request.e2e),
            (&mut figures.e2e_intended, request.e2e + 3),
            (&mut figures.queue_wait, request.e2e / 2),
            (&mut figures.work, request.e2e / 3),
        ] {
            recorded.record(micros);
        }
    }
    figures
}

fn taken(own: &[Request], second: usize, from_s: f64) -> Taken {
    let these = || own.iter().filter(move |request| request.second == second);
    let sound = || these().filter(|request| !request.refused);
    let (mut accepts, mut ends) = (Recorded::default(), Recorded::default());
    sound().for_each(|request| {
        accepts.record(request.accept + 3);
        ends.record(request.e2e + 3);
    });
    let (accept, e2e) = (accepts.percentiles(), ends.percentiles());
    let of = |n: u64, value: f64| (n > 0).then_some(value);
    let count = sound().count() as f64;
    let sample = Sample {
        t: from_s + second as f64 + 1.0,
        lasted: 1.0,
        phase: if second == 0 { Phase::Ramp } else { Phase::Steady },
        target: 60.0,
        offered: these().count() as f64,
        accepted: count,
        completed: count,
        errors: these().count() as f64 - count,
        accept_p50: of(accept.n, accept.p50),
        accept_p95: of(accept.n, accept.p95),
        accept_p99: of(accept.n, accept.p99),
        e2e_p50: of(e2e.n, e2e.p50),
        e2e_p95: of(e2e.n, e2e.p95),
        e2e_p99: of(e2e.n, e2e.p99),
        backlog: Some(second as u64),
        oldest_age_ms: Some(5),
        workers: Some(2),
        inflight: Some(1),
        generator_cpu: 0.2,
        machine_cpu: Some(0.5),
        ..Sample::default()
    };
    Taken { sample, ..Taken::default() }.with(&accepts, &ends, &Recorded::default())
}
