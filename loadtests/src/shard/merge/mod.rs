//! From shards to the document.
//!
//! Counts are added, histograms value by value, seconds by where they lie on one timeline. Nothing is judged here:
//! [`crate::judge`] does that for one generator and for several alike.

mod correctness;
mod course;
mod part;
mod place;
mod seconds;

use std::collections::BTreeMap;

use self::course::Joined;
use self::place::Places;
use super::figures::add;
use super::{Shard, VERSION};
use crate::judge::INTERRUPTED;
use crate::result::{Distribution, Errors, Generator, Phase, Rates, Reads, Report, Sample, Step, Validity, Verdict};

type ByName = BTreeMap<String, u64>;

/// A generator of which there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Which, from 1.
    pub number: u64,
    /// Why, in words.
    pub why: String,
    /// The last lines that it wrote.
    pub last_lines: Vec<String>,
}

/// Shards that do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There are none.
    #[error("no generator returned results")]
    Nothing,
    /// One is of another version of this program.
    #[error("generator {number} speaks version {v} of the format, this program {VERSION}")]
    Version {
        number: u64,
        /// Its version.
        v: u32,
    },
    /// One is of another load test.
    #[error("the {what} of generator {number} differs from that of the others")]
    Unlike {
        number: u64,
        /// What differs.
        what: &'static str,
    },
    /// Two made the same part.
    #[error("generator {number} reported twice")]
    Twice { number: u64 },
}

/// The document of a load that these generators made; nothing in it is judged. `cause` is why somebody who watched all
/// of them ended it before its time.
///
/// # Errors
/// They do not belong together.
pub fn merge(mut shards: Vec<Shard>, missing: &[Missing], cause: Option<&str>) -> Result<Report, MergeError> {
    shards.sort_by_key(|shard| shard.share);
    alike(&shards)?;
    let several = shards.first().is_some_and(|shard| !shard.share.is_whole()) || !missing.is_empty();
    let parts = if several { part::parts(&shards, missing) } else { Vec::new() };
    let places = Places::of(&shards).ok_or(MergeError::Nothing)?;
    let timeline = seconds::merge(&shards, &places);
    let courses = course::join(&shards, &places);
    let first = &shards[places.reference()];
    let (mut steady, mut ramps) = (super::Figures::default(), super::Figures::default());
    for course in &courses {
        steady.add(&course.steady);
        ramps.add(&course.ramp);
    }
    let measured: Vec<&Sample> = courses.iter().flat_map(|course| course.within(&timeline)).collect();
    let stepped = !first.plan.steps.is_empty() || first.plan.growth.is_some();
    let failed = steady.errors + ramps.errors;
    let by_name = |of: fn(&super::Figures) -> &ByName| {
        let mut sum = of(&steady).clone();
        add(&mut sum, of(&ramps));
        sum
    };
    // Of all requests, those of the ramp among them: an error is none the less one.
    let errors = Errors {
        rate: share(failed, steady.offered + ramps.offered),
        by_code: by_name(|figures| &figures.by_code),
        resent: steady.resent + ramps.resent,
        repeated: steady.repeated + ramps.repeated,
        by_gateway: by_name(|figures| &figures.by_gateway),
    };
    Ok(Report {
        v: 1,
        run: first.run.clone(),
        seed: first.seed,
        target: first.target.clone(),
        started_at: shards.iter().map(|shard| &shard.started_at).min().cloned().unwrap_or_default(),
        took_ms: shards.iter().map(|shard| shard.took_ms).max().unwrap_or_default(),
        platform: first.platform.clone(),
        generator: generator(&shards),
        plan: first.plan.clone(),
        verdict: Verdict::Inconclusive,
        exit: 0,
        ended_early: ended_early(&shards, cause),
        correctness: correctness::sum(&shards),
        accept_ms: steady.accept.percentiles(),
        accept_intended_ms: steady.accept_intended.percentiles(),
        e2e_ms: steady.e2e.percentiles(),
        e2e_intended_ms: steady.e2e_intended.percentiles(),
        queue_wait_ms: steady.queue_wait.percentiles(),
        work_ms: steady.work.percentiles(),
        status_ms: Some(steady.status.percentiles()).filter(|status| status.n > 0),
        reads: reads(&steady, &measured),
        distribution: Distribution {
            accept: steady.accept_intended.distribution(),
            e2e: steady.e2e_intended.distribution(),
        },
        rates: rates(&measured),
        errors,
        slo: Vec::new(),
        steps: if stepped { steps(&courses, &timeline, first) } else { Vec::new() },
        breakpoint: None,
        validity: Validity {
            unsent: steady.unsent + ramps.unsent,
            by_lack: by_name(|figures| &figures.by_lack),
            ..validity(&shards, &courses, &steady, &measured)
        },
        regression: None,
        generators: parts,
        timeline,
    })
}

fn alike(shards: &[Shard]) -> Result<(), MergeError> {
    let Some(first) = shards.first() else { return Err(MergeError::Nothing) };
    for (index, shard) in shards.iter().enumerate() {
        let number = shard.share.number();
        if shard.v != VERSION {
            return Err(MergeError::Version { number, v: shard.v });
        }
        let unlike = [
            ("run", shard.run != first.run),
            ("seed", shard.seed != first.seed),
            ("plan", shard.plan != first.plan),
            ("number of generators", shard.share.of() != first.share.of()),
        ];
        if let Some((what, _)) = unlike.into_iter().find(|(_, unlike)| *unlike) {
            return Err(MergeError::Unlike { number, what });
        }
        if index > 0 && shards[index - 1].share == shard.share {
            return Err(MergeError::Twice { number });
        }
    }
    Ok(())
}

/// Cores of all machines; several generators on one machine share its.
fn generator(shards: &[Shard]) -> Generator {
    let first = &shards[0].generator;
    let mut machines: Vec<(Option<&str>, u64)> = Vec::new();
    for shard in shards {
        let machine = shard.machine.as_deref();
        match machines.iter_mut().find(|(known, _)| machine.is_some() && *known == machine) {
            Some((_, cores)) => *cores = (*cores).max(shard.generator.cores),
            None => machines.push((machine, shard.generator.cores)),
        }
    }
    Generator {
        version: first.version.clone(),
        cores: machines.iter().map(|(_, cores)| cores).sum(),
        shared: shards.iter().any(|shard| shard.generator.shared),
    }
}

/// A rule that was broken comes before the end that followed from it for the others.
fn ended_early(shards: &[Shard], cause: Option<&str>) -> Option<String> {
    let reasons = || shards.iter().filter_map(|shard| Some((shard.share, shard.ended_early.as_ref()?)));
    let rule = reasons().find(|(_, reason)| !reason.starts_with(INTERRUPTED));
    let rule = rule.map(|(share, reason)| match share.is_whole() {
        true => reason.clone(),
        false => format!("{reason} (generator {})", share.number()),
    });
    rule.or_else(|| cause.map(str::to_owned)).or_else(|| reasons().next().map(|(_, reason)| reason.clone()))
}

fn steps(courses: &[Joined], timeline: &[Sample], first: &Shard) -> Vec<Step> {
    courses.iter().map(|course| course.step(&first.plan, timeline)).collect()
}

fn validity(shards: &[Shard], courses: &[Joined], steady: &super::Figures, measured: &[&Sample]) -> Validity {
    let planned: Option<u64> = courses.iter().map(|course| course.planned).sum();
    let planned = planned.filter(|_| !courses.is_empty());
    let lost = shards.iter().find_map(|shard| Some((shard.share, shard.stream.lost.as_ref()?)));
    Validity {
        generator_cpu: mean(measured.iter().map(|sample| sample.generator_cpu)).unwrap_or(0.0),
        generator_cpu_max: measured.iter().map(|sample| sample.generator_cpu).fold(0.0, f64::max),
        machine_cpu: mean(measured.iter().filter_map(|sample| sample.machine_cpu)),
        stood_still_s: measured.iter().map(|sample| sample.stood_still).sum(),
        stolen: mean(measured.iter().filter_map(|sample| sample.stolen)),
        throttled: mean(measured.iter().filter_map(|sample| sample.throttled)),
        late_starts: share(steady.late, steady.offered),
        late_p99_ms: steady.lateness.percentiles().p99,
        offered_ratio: planned.map(|planned| share(steady.offered, planned)),
        held_back: steady.held_back,
        stream_gaps: shards.iter().map(|shard| shard.stream.gaps).sum(),
        stream_reconnects: shards.iter().map(|shard| shard.stream.reconnects).sum(),
        stream_lost: lost
            .map(|(of, why)| if of.is_whole() { why.clone() } else { format!("generator {}: {why}", of.number()) }),
        ..Validity::default()
    }
}

fn reads(of: &super::Figures, measured: &[&Sample]) -> Option<Reads> {
    let ms = of.read.percentiles();
    (ms.n > 0).then(|| Reads {
        count: ms.n,
        rate: over_time(measured, |sample| sample.reads),
        not_modified: of.not_modified,
        cached: of.cached,
        ledger_reads: of.ledger_reads,
        ms,
    })
}

fn rates(measured: &[&Sample]) -> Rates {
    Rates {
        offered: over_time(measured, |sample| sample.offered),
        accepted: over_time(measured, |sample| sample.accepted),
        completed: over_time(measured, |sample| sample.completed),
    }
}

/// A mean over time: samples are about a second each, but the last of a stretch can be shorter.
fn over_time(measured: &[&Sample], rate: fn(&Sample) -> f64) -> f64 {
    let whole: f64 = measured.iter().map(|sample| sample.lasted).sum();
    let counted: f64 = measured.iter().map(|sample| rate(sample) * sample.lasted).sum();
    if whole > 0.0 { counted / whole } else { 0.0 }
}

/// The samples of a measured stretch. A sample's time is that of its end, and the clock of the timeline ends a sample
/// where a phase ends.
fn within(timeline: &[Sample], (from, to): (f64, f64)) -> impl DoubleEndedIterator<Item = &Sample> {
    timeline.iter().filter(move |sample| sample.phase == Phase::Steady && sample.t > from && sample.t <= to + 0.5)
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
