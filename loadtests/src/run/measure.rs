//! From meters and samples to what is left behind.

use super::course::Course;
use super::{Run, machine};
use crate::result::{Audit, Generator, Platform};
use crate::shard::{CourseFigures, Shard, Stream, VERSION};

impl Run<'_> {
    /// Everything that was measured so far; nothing of it is judged, and nothing audited.
    pub(super) fn shard(&self) -> Shard {
        let setup = self.setup;
        let observer = &self.crew.observer;
        Shard {
            v: VERSION,
            share: self.crew.share,
            run: setup.run.to_string(),
            own_run: self.run.to_string(),
            seed: setup.seed,
            target: setup.target.clone(),
            plan: setup.plan.clone(),
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
                shared: self.shared,
            },
            machine: machine::identity(),
            skew: self.courses.iter().find_map(|course| Some(course.start?.0.skew)),
            ended_early: self.ended_early(),
            courses: self.courses.iter().map(figures).collect(),
            timeline: self.timeline.samples(),
            stream: Stream {
                gaps: observer.gaps(),
                reconnects: observer.reconnects(),
                lost: observer.lost().map(|lost| lost.to_string()),
            },
            correctness: Audit::default(),
        }
    }
}

fn figures(course: &Course) -> CourseFigures {
    CourseFigures {
        size: course.size,
        from_s: course.from_s,
        measured_s: course.measured_s,
        planned: course.planned,
        aborted: course.aborted.clone(),
        begun_at: course.start.map(|(start, late)| start.platform.plus(late)),
        late_ms: course.start.map_or(0.0, |(_, late)| late.as_secs_f64() * 1000.0),
        steady: course.meter.figures(),
        ramp: course.ramp.figures(),
    }
}
