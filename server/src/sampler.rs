//! Looks at the engine at intervals: gauges, the backlog's estimate, and the upkeep of the metrics recorder.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// Samples until the app stops.
pub(crate) async fn run(app: &App) {
    let mut gauges = Gauges { kinds: BTreeMap::new(), workers: gauge!(WORKERS_ALIVE) };
    let mut accepted = u64::MAX;
    loop {
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
            () = tokio::time::sleep(if busy { BUSY } else { IDLE }) => {}
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
