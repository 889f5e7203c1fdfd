//! The load, and what the platform is given.

use std::time::Duration;

use card_loadtests::plan::{Journey, Mix, Model, Plan, Stage, presets};

/// Arrivals a second, and for how many seconds.
pub(super) const STAGES: [(f64, u64); 3] = [(80.0, 30), (600.0, 40), (80.0, 60)];
/// Of a call of the issuer: the median, and what one in a hundred goes beyond.
pub(super) const LATENCY: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(250)];
/// Of a worker.
pub(super) const CONCURRENCY: usize = 32;
/// Three quarters of the concurrency: the last quarter is what a worker catches up with.
pub(super) const TARGET_BACKLOG: usize = 24;
/// Seconds.
pub(super) const TARGET_AGE: f64 = 2.0;
/// Of a core.
pub(super) const TARGET_CPU: f64 = 0.7;
/// Seconds; short, so that an experiment of minutes sees workers go.
pub(super) const STABILIZATION: u64 = 15;
/// Workers.
pub(super) const BOUNDS: (usize, usize) = (1, 8);

/// What the generator does.
pub(super) fn load() -> Plan {
    let stages = STAGES.iter().flat_map(|(rate, seconds)| {
        [Stage { to: *rate, over: Duration::ZERO }, Stage { to: *rate, over: Duration::from_secs(*seconds) }]
    });
    Plan {
        model: Model::Open,
        stages: stages.collect(),
        warm_up: Duration::ZERO,
        journey: Mix::only(Journey::SUBMIT),
        // What CPU-based scaling leaves behind takes one worker minutes.
        drain: Duration::from_secs(600),
        ..presets::custom()
    }
}

/// Seconds from and to which it asks for the most.
pub(super) fn rush() -> (f64, f64) {
    let [(_, before), (_, rush), _] = STAGES;
    (before as f64, (before + rush) as f64)
}

/// The most that a worker can do in a second, by Little's law.
pub(super) fn worker_rate() -> f64 {
    CONCURRENCY as f64 / LATENCY[0].as_secs_f64()
}

/// Arrivals a second meanwhile.
pub(super) fn rush_rate() -> f64 {
    STAGES[1].0
}

/// The platform's, besides the metric.
pub(super) fn variables() -> Vec<(&'static str, String)> {
    let [p50, p99] = LATENCY.map(|latency| format!("{}ms", latency.as_millis()));
    vec![
        ("CARDCTL_WORKER_CONCURRENCY", CONCURRENCY.to_string()),
        ("CARDCTL_ISSUER_LATENCY_P50", p50),
        ("CARDCTL_ISSUER_LATENCY_P99", p99),
        ("CARDCTL_AUTOSCALE_TARGET_BACKLOG", TARGET_BACKLOG.to_string()),
        ("CARDCTL_AUTOSCALE_TARGET_AGE", format!("{TARGET_AGE}s")),
        ("CARDCTL_AUTOSCALE_TARGET_CPU", TARGET_CPU.to_string()),
        ("CARDCTL_AUTOSCALE_STABILIZATION", format!("{STABILIZATION}s")),
    ]
}
