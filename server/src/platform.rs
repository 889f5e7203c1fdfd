//! The composition: store, API, workers and issuer in one process. `card-server` and `cardctl up` both use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::Store;
use card_core::fronts::Front;
use card_core::ids::WorkerId;
use card_core::process::listen;
use card_core::settings::{self, Settings};
use card_core::telemetry::metrics;
use card_issuer::{Behaviour, OperatorToken};
use card_kinds::Registry;
use card_serve::connections::{Limits, Timeouts, affordable, serve};
use card_worker::{Handlers, Worker};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::secrets::{Secrets, WeakSecret};
use crate::{api, fronts, sampler};

/// What a platform is made of.
pub struct PlatformOptions {
    /// An open store; [`Platform::stop`] closes its engine.
    pub store: Store,
    /// The kinds of tasks that it takes and does; the store was opened with them.
    pub kinds: Registry,
    pub settings: Settings,
    pub secrets: Secrets,
    /// Where the API listens; bound by the caller, who knows what to do when the port is taken.
    pub listener: std::net::TcpListener,
    /// Where the surfaces of predecessors listen, those that are wanted; bound by the caller as well.
    pub fronts: Vec<(Front, std::net::TcpListener)>,
    /// Where the simulated issuer listens; none: a free port of the loopback. Unused if `worker.issuer.url` is set.
    pub issuer_listener: Option<std::net::TcpListener>,
    /// How many workers run in this process; 0 for an API alone.
    pub workers: usize,
    /// This machine's name in `GET /stats`.
    pub host: String,
}

/// Why a platform did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A secret is too weak.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// A listener can't be used, or a thread can't be started.
    #[error("can't start: {0}")]
    System(#[from] std::io::Error),
    /// A part can't be built from the settings.
    #[error("{0}")]
    Settings(String),
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Whether everything in flight was finished within `server.drain-timeout`; if not, the rest was cut off. Nothing
    /// that was accepted is lost either way.
    pub drained: bool,
}

/// A running platform. Dropping it without [`Platform::stop`] cuts everything off, as a crash would.
pub struct Platform {
    address: SocketAddr,
    front_addresses: Vec<(Front, SocketAddr)>,
    issuer_address: Option<SocketAddr>,
    store: Store,
    drain_timeout: Duration,
    stop_api: CancellationToken,
    stop_workers: CancellationToken,
    stop_issuer: CancellationToken,
    /// The API and the fronts.
    api: Vec<AbortOnDropHandle<bool>>,
    sampler: AbortOnDropHandle<()>,
    workers: Vec<AbortOnDropHandle<bool>>,
    issuer: Option<AbortOnDropHandle<()>>,
    ended: mpsc::UnboundedReceiver<&'static str>,
}

impl Platform {
    /// Starts every part. Must be called inside a Tokio runtime. When it returns, the API answers.
    ///
    /// Turns transparent huge pages off for the whole process: ten thousand streams then take 170 MB instead of 270.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: PlatformOptions) -> Result<Self, StartError> {
        let PlatformOptions { store, kinds, mut settings, secrets, listener, fronts, issuer_listener, workers, host } =
            options;
        secrets.check()?;
        keep_pages_small();
        // Before the first metric is counted, or it is counted nowhere.
        metrics::install();
        let (watch, ended) = Watch::new();
        let (stop_api, stop_workers, stop_issuer) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());

        let (mut issuer, mut issuer_address) = (None, None);
        if workers > 0 && settings.worker.issuer.url.is_empty() {
            let listener = issuer_listener.map_or_else(|| listen((Ipv4Addr::LOCALHOST, 0).into(), false), Ok)?;
            let listener = into_tokio(listener)?;
            let address = listener.local_addr()?;
            settings.worker.issuer.url = format!("http://{address}");
            issuer_address = Some(address);
            let operator = Some(OperatorToken::new(&secrets.operator_token));
            let serving =
                card_issuer::serve(listener, Behaviour::from(&settings.issuer), operator, stop_issuer.clone());
            issuer = Some(watch.spawn("issuer", serving));
        }

        let mut running = Vec::with_capacity(workers);
        if workers > 0 {
            let handlers =
                Handlers::new(&kinds, &settings.worker).map_err(|error| StartError::Settings(error.to_string()))?;
            for _ in 0..workers {
                let (engine, handlers) = (store.engine.clone(), handlers.clone());
                let worker = Worker::new(engine, handlers, settings.worker.clone(), WorkerId::new(), host.clone())
                    .with_drain(settings.server.drain_timeout);
                let stop = stop_workers.clone();
                running.push(watch.spawn("worker", async move { worker.run(stop).await.drained }));
            }
        }

        let listener = into_tokio(listener)?;
        let address = listener.local_addr()?;
        let server = &settings.server;
        let (drain_timeout, read_timeout) = (server.drain_timeout, server.read_timeout);
        let connections = connections(&mut settings.server);
        let timeouts = Timeouts { head: read_timeout, idle: IDLE, stalled: STALLED, drain: drain_timeout };
        let limits = Limits {
            timeouts,
            connections,
            unfinished: settings.server.unfinished_limit,
            proxies: settings.server.trusted_proxies.clone(),
        };
        let app = Arc::new(App::new(store.clone(), kinds, settings, secrets, stop_api.clone())?);
        let answers = api::answers(Arc::clone(&app)).map_err(|error| StartError::Settings(error.to_string()))?;
        // All together may have what there is room for.
        let share =
            Limits { connections: (connections / 8).max(1), unfinished: limits.unfinished / 8, ..limits.clone() };
        let rest = connections.saturating_sub(share.connections * fronts.len()).max(1);
        let limits = Limits { connections: rest, ..limits };
        let mut api = vec![watch.spawn("api", serve(listener, Arc::new(answers), limits, stop_api.clone()))];
        let mut front_addresses = Vec::with_capacity(fronts.len());
        for (front, listener) in fronts {
            let listener = into_tokio(listener)?;
            let address = listener.local_addr()?;
            tracing::warn!(%front, %address, "{}", fronts::warning(front));
            let answers = Arc::new(fronts::answers(Arc::clone(&app), front));
            front_addresses.push((front, address));
            api.push(watch.spawn(front.name(), serve(listener, answers, share.clone(), stop_api.clone())));
        }
        let sampler = watch.spawn("sampler", async move { sampler::run(&app).await });
        Ok(Self {
            address,
            front_addresses,
            issuer_address,
            store,
            drain_timeout,
            stop_api,
            stop_workers,
            stop_issuer,
            api,
            sampler,
            workers: running,
            issuer,
            ended,
        })
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the fronts listen.
    #[must_use]
    pub fn front_addresses(&self) -> &[(Front, SocketAddr)] {
        &self.front_addresses
    }

    /// Where the simulated issuer listens; none if an outside one is used.
    #[must_use]
    pub fn issuer_address(&self) -> Option<SocketAddr> {
        self.issuer_address
    }

    /// Waits until a part ends by itself, which none should, and names it. Cancel safe.
    pub async fn failed(&mut self) -> &'static str {
        match self.ended.recv().await {
            Some(part) => part,
            // Every part has ended and was named.
            None => std::future::pending().await,
        }
    }

    /// Stops in order: the API takes no new work and finishes what is in flight, workers finish or hand back what they
    /// hold, the engine puts everything on disk.
    pub async fn stop(self) -> Stopped {
        let patience = self.drain_timeout.saturating_add(GRACE);
        self.stop_api.cancel();
        let api = timeout(patience, futures::future::join_all(self.api)).await;
        let mut drained = api.is_ok_and(|api| api.iter().all(|drained| matches!(drained, Ok(true))));
        drained &= timeout(patience, self.sampler).await.is_ok();
        self.stop_workers.cancel();
        let workers = timeout(patience, futures::future::join_all(self.workers)).await;
        drained &= workers.is_ok_and(|workers| workers.iter().all(|drained| matches!(drained, Ok(true))));
        self.stop_issuer.cancel();
        if let Some(issuer) = self.issuer {
            drained &= timeout(patience, issuer).await.is_ok();
        }
        drained &= timeout(patience, self.store.engine.close()).await.is_ok();
        Stopped { drained }
    }
}

/// Longer than clients keep a connection in their pools for the most part, so that it is they who close it: a server
/// that closes first may do so just when the next request is on its way.
const IDLE: Duration = Duration::from_secs(120);
/// A client that reads nothing for so long is cut off; a watcher resumes.
const STALLED: Duration = Duration::from_secs(60);
/// Every part keeps its own time; this is for one that does not.
const GRACE: Duration = Duration::from_secs(10);

/// How many connections there may be. There is room in them for all requests and streams that there may be: if not, fewer
/// of those are taken, as a probe that can't connect would end the process.
fn connections(server: &mut settings::Server) -> usize {
    // Some connections are idle between requests.
    let all = server.max_in_flight.saturating_add(server.max_streams).saturating_mul(2);
    let wanted = if server.max_connections == 0 { all } else { server.max_connections };
    let connections = wanted.min(affordable());
    let (streams, requests) = ((connections / 4 * 3).max(1), (connections / 4).max(1));
    if connections < all && (server.max_streams > streams || server.max_in_flight > requests) {
        server.max_streams = server.max_streams.min(streams);
        server.max_in_flight = server.max_in_flight.min(requests);
        tracing::info!(
            connections,
            max_streams = server.max_streams,
            max_in_flight = server.max_in_flight,
            "open files, memory or server.max-connections allow fewer streams and requests than the settings do"
        );
    }
    connections
}

/// Each connection has buffers that are mostly empty. In huge pages the empty parts take memory as well.
fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "transparent huge pages stay as they are");
    }
}

fn into_tokio(listener: std::net::TcpListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Starts parts and tells when one ends, by a panic as well.
struct Watch(mpsc::UnboundedSender<&'static str>);

struct Ended(&'static str, mpsc::UnboundedSender<&'static str>);

impl Watch {
    fn new() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        part: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        let ended = Ended(name, self.0.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let _ended = ended;
            part.await
        }))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody asks any more once the platform is gone.
        let _ = self.1.send(self.0);
    }
}
