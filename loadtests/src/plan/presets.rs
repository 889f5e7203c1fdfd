//! The ready-made plans.

use std::time::Duration;

use super::{Journey, Mix, Model, Plan, Stage, Think};

/// What is used where nothing is said: 50 users for 30 s after 5 s of ramp.
#[must_use]
pub fn custom() -> Plan {
    Plan {
        preset: None,
        model: Model::Closed,
        stages: vec![
            Stage { to: 50.0, over: Duration::from_secs(5) },
            Stage { to: 50.0, over: Duration::from_secs(30) },
        ],
        warm_up: Duration::from_secs(5),
        think: Think::default(),
        journey: Mix::only(Journey::Submit),
        steps: Vec::new(),
        growth: None,
        slo: Vec::new(),
        abort_on: Vec::new(),
        min_samples: 20,
        max_degradation: None,
        drain: Duration::from_secs(60),
        settle: Duration::from_secs(3),
        patience: Duration::from_secs(30),
        max_in_flight: 20_000,
    }
}
