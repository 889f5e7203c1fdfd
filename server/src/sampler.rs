//! Looks at the engine at intervals: gauges, the backlog's estimate, and the upkeep of the metrics recorder.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use card_core::engine::EngineError;
use card_core::tasks::Kind;
use card_core::telemetry::metrics::{self as names, DEAD_LETTERS, QUEUE_BACKLOG, QUEUE_OLDEST_AGE, WORKERS_ALIVE};
use metrics::{Gauge, gauge};

use crate::app::App;

const BUSY: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(1);

struct Gauges {
    /// As the kinds are met: a newer version may bring one at any time.
    kinds: BTreeMap<Kind, KindGauges>,
    workers: Gauge,
}

struct KindGauges {
    backlog: Gauge,
    oldest_age: Gauge,
    dead: Gauge,
}

impl KindGauges {
    fn new(kind: Kind) -> Self {
        Self {
            backlog: gauge!(QUEUE_BACKLOG, "kind" => kind.to_string()),
            oldest_age: gauge!(QUEUE_OLDEST_AGE, "kind" => kind.to_string()),
            dead: gauge!(DEAD_LETTERS, "kind" => kind.to_string()),
        }
    }
}

/// How many requests are under way, as a mean that forgets.
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicU64);

impl Load {
    /// What is older than this counts for little.
    const WINDOW: Duration = Duration::from_secs(5);

    /// To a tenth.
    pub(crate) fn mean(&self) -> f64 {
        (f64::from_bits(self.0.load(Ordering::Relaxed)) * 10.0).round() / 10.0
    }

    /// So many were under way since the last time, which is so long ago.
    fn add(&self, in_flight: usize, since: Duration) {
        let weight = 1.0 - (-since.as_secs_f64() / Self::WINDOW.as_secs_f64()).exp();
        let before = f64::from_bits(self.0.load(Ordering::Relaxed));
        self.0.store((before + (in_flight as f64 - before) * weight).to_bits(), Ordering::Relaxed);
    }
}

/// Samples until the app stops.
pub(crate) async fn run(app: &App) {
    let mut gauges = Gauges { kinds: BTreeMap::new(), workers: gauge!(WORKERS_ALIVE) };
    let mut accepted = u64::MAX;
    let mut looked = Instant::now();
    loop {
        let since = std::mem::replace(&mut looked, Instant::now()).elapsed();
        app.load.add(app.gate.in_flight(), since);
        if let Err(error) = sample(app, &mut gauges).await {
            // The engine logs its own trouble, and `/ready` tells it; without a sample the last one stands.
            tracing::debug!(%error, "no sample of the queue");
        }
        if let Some(recorder) = names::install() {
            recorder.run_upkeep();
        }
        let busy = std::mem::replace(&mut accepted, app.backlog.accepted_total()) != accepted;
        tokio::select! {
            () = app.stop.cancelled() => return,
            // Requests that come and go are seen only while they are there.
            () = tokio::time::sleep(if busy || app.gate.in_flight() > 0 { BUSY } else { IDLE }) => {}
        }
    }
}

async fn sample(app: &App, gauges: &mut Gauges) -> Result<(), EngineError> {
    let stats = app.engine.stats().await?;
    let queue = &stats.queue;
    // What is for later takes room as well.
    app.backlog.sampled(queue.ready + queue.running + queue.retrying + queue.scheduled);
    for (kind, of) in &stats.by_kind {
        let gauges = gauges.kinds.entry(*kind).or_insert_with(|| KindGauges::new(*kind));
        gauges.backlog.set(of.backlog as f64);
        gauges.oldest_age.set(of.oldest_age_ms as f64 / 1000.0);
        gauges.dead.set(of.dead as f64);
    }
    // The engine leaves out those it has not heard of for a while, by its own clock.
    gauges.workers.set(stats.workers.len() as f64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_mean_that_follows_in_seconds_and_not_at_once() {
        let load = Load::default();
        load.add(100, Duration::from_millis(250));
        assert!((1.0..10.0).contains(&load.mean()), "{}", load.mean());
        (0..100).for_each(|_| load.add(100, Duration::from_millis(250)));
        assert!(load.mean() > 99.0, "{}", load.mean());
        load.add(0, Duration::from_secs(60));
        assert!(load.mean() < 0.1, "{}", load.mean());
    }
}
