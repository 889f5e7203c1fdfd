//! What a load test does: how many, how fast, for how long, what they ask for, and what is promised of it.
//!
//! A plan is data: it is made by the command line ([`presets`] are the ready ones), carried out by [`crate::run`],
//! written into the result, and compared with the plan of a baseline.

mod abort;
mod flaw;
mod journey;
pub mod millis;
mod overrides;
pub mod presets;
mod slo;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::abort::{AbortRule, InvalidAbortRule, Watch};
pub(crate) use self::flaw::nearest;
pub use self::journey::{InvalidMix, Journey, Mix};
pub use self::overrides::{HIGHEST_RATE, InvalidPlan, MOST_USERS, Overrides};
pub use self::presets::{InvalidPreset, Preset};
pub use self::slo::{InvalidSlo, Metric, Op, Slo, Stat, Unit};
pub(crate) use self::slo::{described, grouped, percent};

/// How arrivals come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// So many users at once; each waits for its answer, thinks, and goes on. A slow platform is asked less.
    Closed,
    /// Arrivals at a rate, whatever the platform does: it is asked as much when it is slow.
    Open,
}

/// A stretch of a load's course: from where it stands, in a straight line, to `to` within `over`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Users at once (closed), or arrivals a second (open), at its end.
    pub to: f64,
    /// How long it takes; 0 is a jump.
    #[serde(with = "millis", rename = "over_ms")]
    #[schemars(with = "u64")]
    pub over: Duration,
}

/// How long a user rests between an answer and its next request: anything from `min` to `max`, evenly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Think {
    /// The shortest.
    #[serde(with = "millis", rename = "min_ms")]
    #[schemars(with = "u64")]
    pub min: Duration,
    /// The longest.
    #[serde(with = "millis", rename = "max_ms")]
    #[schemars(with = "u64")]
    pub max: Duration,
}

/// How a search for the limit grows: `from`, then twice as much each step, until something promised breaks; then
/// `refinements` halvings of the last interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Growth {
    /// The first size: users, or arrivals a second.
    pub from: f64,
    /// No step is larger.
    pub up_to: f64,
    /// How often the interval between the last good and the first bad size is halved.
    pub refinements: u32,
}

/// A load test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The name of the preset that it began with.
    pub preset: Option<String>,
    /// How arrivals come about.
    pub model: Model,
    /// The course. With `steps` or `growth` it is that of each step, for a size of 1: `to` is a factor.
    pub stages: Vec<Stage>,
    /// What happens before this is not in the figures (but in the audit): the first ramp.
    #[serde(with = "millis", rename = "warm_up_ms")]
    #[schemars(with = "u64")]
    pub warm_up: Duration,
    /// Between an answer and the next request of a user; closed only.
    pub think: Think,
    /// What is asked for.
    pub journey: Mix,
    /// The same course at these sizes, one after another; empty for one course.
    pub steps: Vec<f64>,
    /// The same course at growing sizes until a promise breaks.
    pub growth: Option<Growth>,
    /// What is promised.
    pub slo: Vec<Slo>,
    /// When to end before the time.
    pub abort_on: Vec<AbortRule>,
    /// A promise about fewer samples than this is not judged.
    pub min_samples: u64,
    /// How much slower than the first a step may be, as a fraction; see [`crate::judge`].
    pub max_degradation: Option<f64>,
    /// How long to wait at the end for what was accepted.
    #[serde(with = "millis", rename = "drain_ms")]
    #[schemars(with = "u64")]
    pub drain: Duration,
    /// How long to watch after that for what comes late and twice.
    #[serde(with = "millis", rename = "settle_ms")]
    #[schemars(with = "u64")]
    pub settle: Duration,
    /// How long a user waits for the end of one task before it goes on as somebody else.
    #[serde(with = "millis", rename = "patience_ms")]
    #[schemars(with = "u64")]
    pub patience: Duration,
    /// Requests at once that the open model lets run; what comes beyond waits, and is counted as late.
    pub max_in_flight: u64,
}

impl Plan {
    /// The largest number of users (closed) or arrivals a second (open) of a course at `size` (1 without steps).
    #[must_use]
    pub fn peak(&self, size: f64) -> f64 {
        self.stages.iter().map(|stage| stage.to * size).fold(0.0, f64::max)
    }

    /// The built-in promises whose place something easier to keep has taken, each with the strictest of what has. One that
    /// was taken away as a whole is none of them.
    #[must_use]
    pub fn weakened(&self) -> Vec<(Slo, Slo)> {
        let preset = self.preset.as_ref().and_then(|name| name.parse().ok());
        let built_in = preset.map_or_else(presets::custom, Preset::plan).slo;
        let weakened = |known: Slo| {
            let rivals: Vec<&Slo> = self.slo.iter().filter(|slo| slo.rivals(&known)).collect();
            let strictest = *rivals.iter().find(|one| !rivals.iter().any(|other| one.is_weaker_than(other)))?;
            strictest.is_weaker_than(&known).then(|| (known, strictest.clone()))
        };
        built_in.into_iter().filter_map(weakened).collect()
    }

    /// How many connections the load takes at once, at least, if that can be told: one for each user. In the open model it
    /// depends on how fast answers come; arrivals of a second are taken for it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
    pub fn connections(&self) -> Option<u64> {
        let sizes = self.steps.iter().copied().reduce(f64::max);
        let peak = self.peak(sizes.unwrap_or(1.0)).ceil() as u64;
        self.growth.is_none().then(|| peak.min(self.max_in_flight))
    }

    /// How long one course takes.
    #[must_use]
    pub fn course(&self) -> Duration {
        self.stages.iter().map(|stage| stage.over).sum()
    }

    /// Users (closed) or arrivals a second (open) that are due at a point of a course at `size`.
    #[must_use]
    pub fn due_at(&self, size: f64, at: Duration) -> f64 {
        let (mut from, mut begun) = (0.0, Duration::ZERO);
        for stage in &self.stages {
            let to = stage.to * size;
            if at < begun + stage.over {
                let part = (at - begun).as_secs_f64() / stage.over.as_secs_f64();
                return from + (to - from) * part;
            }
            (from, begun) = (to, begun + stage.over);
        }
        0.0
    }

    /// The first point of a course, from `from` on, at which more than `level` is due: when a user with that many
    /// before it is to be active. None if there is none.
    #[must_use]
    pub fn exceeds(&self, size: f64, level: f64, from: Duration) -> Option<Duration> {
        let (mut low, mut begun) = (0.0, Duration::ZERO);
        for stage in &self.stages {
            let (to, ends) = (stage.to * size, begun + stage.over);
            if from < ends {
                let from = from.max(begun);
                if self.due_at(size, from) > level {
                    return Some(from);
                }
                if to > level {
                    // It rises from below: a hair after the line is crossed.
                    let part = ((level - low) / (to - low)).clamp(0.0, 1.0);
                    let crossed = begun + stage.over.mul_f64(part) + Duration::from_micros(1);
                    return Some(crossed.max(from)).filter(|crossed| *crossed < ends);
                }
            }
            (low, begun) = (to, ends);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(stages: &[(f64, u64)]) -> Plan {
        let stages = stages.iter().map(|(to, over)| Stage { to: *to, over: Duration::from_millis(*over) }).collect();
        Plan { stages, ..presets::custom() }
    }

    #[test]
    fn a_course_ramps_holds_jumps_and_ends() {
        let plan = plan(&[(10.0, 1000), (10.0, 1000), (50.0, 0), (50.0, 500)]);
        let due = |millis| plan.due_at(1.0, Duration::from_millis(millis));
        assert_eq!((due(0), due(500), due(1000), due(1999)), (0.0, 5.0, 10.0, 10.0));
        assert_eq!((due(2000), due(2499), due(2500)), (50.0, 50.0, 0.0));
        assert_eq!(plan.due_at(2.0, Duration::from_millis(1500)), 20.0);
        assert_eq!((plan.peak(2.0), plan.course()), (100.0, Duration::from_millis(2500)));
    }

    #[test]
    fn a_built_in_promise_that_is_made_easier_is_said() {
        let weakened = |preset: Plan, slo: &[&str]| {
            let slo = slo.iter().map(|slo| slo.parse().unwrap()).collect();
            let plan = preset.with(Overrides { slo, ..Overrides::default() }).unwrap();
            let told = plan.weakened().into_iter().map(|(known, taken)| format!("{known} {taken}"));
            told.collect::<Vec<_>>()
        };
        let usual = |slo: &[&str]| weakened(presets::custom(), slo);
        assert_eq!(usual(&[]), Vec::<String>::new());
        assert_eq!(usual(&["errors<0.1%", "e2e.p95<9s"]), Vec::<String>::new());
        assert_eq!(usual(&["errors<5%"]), ["errors<1% errors<5%"]);
        assert_eq!(usual(&["errors<9%", "errors<5%", "dead<0.5"]), ["errors<1% errors<5%", "dead<1% dead<0.5"]);
        assert_eq!(usual(&["errors<9%", "errors<0.1%"]), Vec::<String>::new(), "both are judged");
        assert_eq!(weakened(Preset::Breakpoint.plan(), &["e2e.p95<2s"]), ["e2e.p95<1s e2e.p95<2s"]);
    }

    #[test]
    fn a_user_is_active_while_more_than_those_before_it_are_due() {
        let plan = plan(&[(10.0, 1000), (10.0, 1000), (50.0, 0), (50.0, 500), (5.0, 0), (5.0, 100)]);
        let from = |level, from| plan.exceeds(1.0, level, Duration::from_millis(from)).map(|at| at.as_millis());
        // In the ramp, one after another; the first at once.
        assert_eq!((from(0.0, 0), from(4.0, 0), from(9.0, 0)), (Some(0), Some(400), Some(900)));
        // The eleventh only in the peak, and the sixth not after it.
        assert_eq!(
            (from(10.0, 0), from(49.0, 2100), from(49.0, 2500), from(50.0, 0)),
            (Some(2000), Some(2100), None, None)
        );
        assert_eq!((from(4.0, 2550), from(5.0, 2550), from(4.0, 2600)), (Some(2550), None, None));
    }
}
