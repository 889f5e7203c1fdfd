//! A worker as a process of its own: store, steps, health port; and their end, in order.

use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{Engine, cluster};
use card_core::ids::WorkerId;
use card_core::process::{Exit, NotReady, Part, listen};
use card_core::settings::Settings;
use card_core::telemetry::metrics;
use card_kinds::Registry;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Arguments;
use crate::{Handlers, InvalidHandlers, Worker};
use card_serve::health::{self, Check};
use card_serve::serve_routes;

/// Every part keeps its own time; this is for one that does not.
const GRACE: Duration = Duration::from_secs(10);
/// The engine must answer a ping within this.
const PING: Duration = Duration::from_secs(2);
/// How often the recorder puts its samples in order.
const UPKEEP: Duration = Duration::from_secs(1);

pub(super) async fn run(arguments: Arguments) -> Result<Exit, NotReady> {
    let mut begun = arguments.process.begin(Part::Worker)?;
    if let Some(kinds) = arguments.kinds {
        begun.settings.worker.kinds = kinds;
    }
    let settings = &begun.settings;
    let address = begun.environment.cluster()?.ok_or_else(|| {
        NotReady::new(
            "a worker needs Postgres and Redis; set CARDCTL_DATABASE_FILE and CARDCTL_REDIS_FILE, or CARDCTL_DATABASE and \
             CARDCTL_REDIS. With a SQLite ledger, `card-server` runs the workers itself",
        )
    })?;
    let registry = Registry::default();
    let handlers = handlers(&registry, settings)?;
    let at = arguments.health_address;
    let refused = |error: std::io::Error| NotReady::new(format!("{at}: {error}; give another --health-address"));
    let listener = listen(at, false).and_then(TcpListener::from_std).map_err(refused)?;
    let health_address = listener.local_addr().map_err(refused)?;
    let kinds = registry.known();
    let store = tokio::select! {
        // Nothing was begun that could be finished.
        () = begun.stop.asked() => return Ok(Exit::Done),
        opened = cluster::open(&address, settings, &kinds) => opened?,
    };

    let (stop_work, stop_health) = (CancellationToken::new(), CancellationToken::new());
    let routes = health::routes(checks(&store.engine, &stop_work)).fallback(card_serve::no_such_route);
    let mut health = spawn(serve_routes(listener, routes, stop_health.clone()));
    let host = begun.environment.host();
    let worker = Worker::new(store.engine.clone(), handlers, settings.worker.clone(), WorkerId::new(), host)
        .with_drain(settings.server.drain_timeout);
    let kinds = settings.worker.kinds.as_str();
    tracing::info!(kinds = if kinds.is_empty() { "all" } else { kinds }, "taking tasks");
    let mut working = spawn(worker.run(stop_work.clone()));
    begun.ready(health_address);
    let failed = tokio::select! {
        () = begun.stop.asked() => None,
        _ = &mut working => Some("worker"),
        _ = &mut health => Some("health"),
        () = keep_metrics() => None,
    };
    if let Some(part) = failed {
        tracing::error!(part, "a component exited unexpectedly");
    }
    tracing::info!("stopping");
    stop_work.cancel();
    let mut drained = true;
    if failed != Some("worker") {
        let stopped = timeout(settings.server.drain_timeout.saturating_add(GRACE), working).await;
        drained = matches!(stopped, Ok(Ok(stopped)) if stopped.drained);
    }
    drained &= timeout(GRACE, store.engine.close()).await.is_ok();
    stop_health.cancel();
    if failed != Some("health") {
        drained &= timeout(GRACE, health).await.is_ok();
    }
    tracing::info!(drained, "stopped");
    Ok(if failed.is_some() { Exit::Internal } else { Exit::Done })
}

fn handlers(registry: &Registry, settings: &Settings) -> Result<Handlers, NotReady> {
    let made = Handlers::new(registry, &settings.worker);
    made.map_err(|error| match error {
        InvalidHandlers::Issuer(_) if settings.worker.issuer.url.is_empty() => NotReady::new(
            "worker.issuer.url is not set; set CARDCTL_WORKER_ISSUER_URL to the card issuer's address, such as http://127.0.0.1:7500 for `card-server issuer`",
        ),
        other => NotReady::new(other.to_string()),
    })
}

/// Ready as long as the ledger answers and tasks are claimed.
fn checks(
    engine: &Arc<dyn Engine>,
    stop: &CancellationToken,
) -> impl Fn() -> futures::future::BoxFuture<'static, Vec<Check>> + Clone + Send + Sync + 'static {
    let (engine, stop) = (Arc::clone(engine), stop.clone());
    move || {
        let (engine, stop) = (Arc::clone(&engine), stop.clone());
        Box::pin(async move {
            let ledger = matches!(timeout(PING, engine.ping()).await, Ok(Ok(())));
            vec![
                Check::new("ledger", ledger, "the ledger does not answer as it should; the log says why"),
                Check::new("claiming", !stop.is_cancelled(), "the worker is stopping"),
            ]
        })
    }
}

/// What nobody reads would otherwise gather. Never ends.
async fn keep_metrics() {
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(recorder) = metrics::install() {
            recorder.run_upkeep();
        }
    }
}

fn spawn<T: Send + 'static>(part: impl Future<Output = T> + Send + 'static) -> AbortOnDropHandle<T> {
    AbortOnDropHandle::new(tokio::spawn(part))
}
