//! The ready-made plans.
//!
//! Each but the spike rises to one size, which is then held. Steps need such a plan whose rise is not measured.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::flaw::suggestion;
use super::{Growth, Journey, Mix, Model, Plan, Slo, Stage, Think};

/// A plan that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// See [`smoke`].
    Smoke,
    /// See [`baseline`].
    Baseline,
    /// See [`ramp`].
    Ramp,
    /// See [`spike`].
    Spike,
    /// See [`soak`].
    Soak,
    /// See [`breakpoint`].
    Breakpoint,
}

/// A text that is no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such preset: {name:?}; {hint}")]
pub struct InvalidPreset {
    name: String,
    hint: String,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] = [Self::Smoke, Self::Baseline, Self::Ramp, Self::Spike, Self::Soak, Self::Breakpoint];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Baseline => "baseline",
            Self::Ramp => "ramp",
            Self::Spike => "spike",
            Self::Soak => "soak",
            Self::Breakpoint => "breakpoint",
        }
    }

    /// What it is, in a line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Smoke => "10 users for 15 s: a quick check",
            Self::Baseline => "100 users with 0.2 to 1 s think time, for 2 m: a baseline to compare with",
            Self::Ramp => "ramp up to 200 users in 2 m, then hold for 30 s: find the point where it slows down",
            Self::Spike => "50 users, then 500 for 20 s, then 50: test recovery",
            Self::Soak => "50 users with 1 s think time, for 30 m: find leaks and drift",
            Self::Breakpoint => "arrivals from 50/s, doubled until an SLO is missed: find the limit and its cause",
        }
    }

    #[must_use]
    pub fn plan(self) -> Plan {
        let plan = match self {
            Self::Smoke => smoke(),
            Self::Baseline => baseline(),
            Self::Ramp => ramp(),
            Self::Spike => spike(),
            Self::Soak => soak(),
            Self::Breakpoint => breakpoint(),
        };
        Plan { preset: Some(self.as_str().to_owned()), ..plan }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = InvalidPreset;

    fn from_str(name: &str) -> Result<Self, InvalidPreset> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name).ok_or_else(|| InvalidPreset {
            name: name.to_owned(),
            hint: suggestion(name, Self::ALL.iter().map(|preset| preset.as_str())),
        })
    }
}

/// What is used where nothing is said: 50 users for 30 s after 5 s of ramp.
#[must_use]
pub fn custom() -> Plan {
    Plan {
        preset: None,
        model: Model::Closed,
        stages: level(50.0, seconds(5), seconds(30)),
        warm_up: seconds(5),
        think: Think::default(),
        journey: Mix::only(Journey::SUBMIT),
        steps: Vec::new(),
        growth: None,
        slo: Slo::defaults(),
        abort_on: Vec::new(),
        min_samples: 20,
        max_degradation: None,
        drain: seconds(60),
        settle: seconds(3),
        patience: seconds(30),
        max_in_flight: 20_000,
    }
}

/// Whether it works at all: 10 users for 15 s after 1 s of ramp.
#[must_use]
pub fn smoke() -> Plan {
    Plan { stages: level(10.0, seconds(1), seconds(15)), warm_up: seconds(1), ..custom() }
}

/// Figures to compare with: 100 users who think, for 2 minutes after 10 s of ramp.
#[must_use]
pub fn baseline() -> Plan {
    let think = Think { min: Duration::from_millis(200), max: seconds(1) };
    Plan { stages: level(100.0, seconds(10), seconds(120)), warm_up: seconds(10), think, ..custom() }
}

/// Where it begins to slow down: from the first user to 200 within 2 minutes, then 30 s there. All of it is in the
/// figures.
#[must_use]
pub fn ramp() -> Plan {
    Plan { stages: level(200.0, seconds(120), seconds(30)), warm_up: Duration::ZERO, ..custom() }
}

/// Whether it recovers: 50 users for 20 s after 5 s of ramp, at once 500 for 20 s, at once 50 again for 40 s.
#[must_use]
pub fn spike() -> Plan {
    let mut stages = level(50.0, seconds(5), seconds(20));
    stages.extend(level(500.0, Duration::ZERO, seconds(20)));
    stages.extend(level(50.0, Duration::ZERO, seconds(40)));
    Plan { stages, ..custom() }
}

/// Whether it leaks or drifts: 50 users who think a second, for half an hour after 10 s of ramp.
#[must_use]
pub fn soak() -> Plan {
    let think = Think { min: seconds(1), max: seconds(1) };
    Plan { stages: level(50.0, seconds(10), seconds(30 * 60)), warm_up: seconds(10), think, ..custom() }
}

/// Where the limit is: arrivals from 50/s, twice as many each step of 8 s (2 s of them ramp) until a promise breaks, then
/// three halvings of the last interval.
#[must_use]
pub fn breakpoint() -> Plan {
    let mut slo = Slo::known(&["e2e.p95<1s", "accept.p95<500ms"]);
    slo.extend(Slo::defaults());
    Plan {
        model: Model::Open,
        stages: level(1.0, seconds(2), seconds(6)),
        warm_up: seconds(2),
        growth: Some(Growth { from: 50.0, up_to: 20_000.0, refinements: 3 }),
        slo,
        ..custom()
    }
}

fn level(size: f64, ramp: Duration, hold: Duration) -> Vec<Stage> {
    vec![Stage { to: size, over: ramp }, Stage { to: size, over: hold }]
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overrides;

    #[test]
    fn every_preset_is_a_plan_that_can_be_carried_out_written_and_read() {
        for preset in Preset::ALL {
            let plan = preset.plan();
            assert_eq!(plan.preset.as_deref(), Some(preset.as_str()));
            assert_eq!(plan.clone().with(Overrides::default()), Ok(plan.clone()), "{preset}");
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{preset}");
            assert!(Slo::defaults().iter().all(|slo| plan.slo.contains(slo)), "{preset}");
            assert_eq!(preset.as_str().parse(), Ok(preset));
        }
    }

    #[test]
    fn presets_are_what_their_names_promise() {
        let held = |plan: Plan| (plan.peak(1.0), plan.course() - plan.warm_up);
        assert_eq!(held(custom()), (50.0, seconds(30)));
        assert_eq!(held(smoke()), (10.0, seconds(15)));
        assert_eq!(held(baseline()), (100.0, seconds(120)));
        assert_eq!(held(ramp()), (200.0, seconds(150)));
        assert_eq!(held(spike()), (500.0, seconds(80)));
        assert_eq!(held(soak()), (50.0, seconds(1800)));
        assert_eq!((breakpoint().peak(50.0), breakpoint().course()), (50.0, seconds(8)));
    }

    #[test]
    fn a_spike_comes_at_once_and_goes_at_once() {
        let due = |millis| spike().due_at(1.0, Duration::from_millis(millis));
        assert_eq!([24_999, 25_000, 44_999, 45_000, 84_999, 85_000].map(due), [50.0, 500.0, 500.0, 50.0, 50.0, 0.0]);
    }

    #[test]
    fn a_name_that_is_nearly_one_is_suggested() {
        assert_eq!(
            "basline".parse::<Preset>().unwrap_err().to_string(),
            "no such preset: \"basline\"; did you mean baseline? known: smoke baseline ramp spike soak breakpoint"
        );
    }
}
