//! What serves: everything in this process, or a supervisor with children. The one place that tells them apart.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::sqlite;
use card_core::fronts::Front;
use card_server::platform::{Platform, PlatformOptions, StartError};
use tokio::net::TcpSocket;

use super::{ClusterPlan, Paths, Plan, Published, port, secrets, state};
use crate::cluster::Remembered;
use crate::failure::Failure;
use crate::supervisor::{StartOptions, Supervisor};
use card_core::exit::Exit;

/// Beyond the drain, for what can't be cut off: the last commit.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The parts of a platform.
pub(super) enum Parts {
    /// In this process.
    Embedded(Box<Platform>),
    /// In children.
    Processes(Box<Supervisor>),
}

/// Ports that the API and the fronts are going to answer on.
pub(super) enum Ports {
    Listening(TcpListener, Vec<(Front, TcpListener)>),
    Reserved(TcpSocket, Vec<TcpSocket>),
}

impl Ports {
    /// As the plan has them. The fronts' first: old clients know theirs, so the API is the one that gives way.
    pub(super) fn take(plan: &Plan) -> Result<Self, Failure> {
        let server = &plan.settings.server;
        let (address, number, exactly) = (server.address, server.port, plan.port_is_given());
        let fronts = plan.settings.fronts.served();
        match plan.cluster {
            None => {
                let bind = |(front, number)| {
                    let bound =
                        port::bind(address, number, true).map_err(|busy| port::of_front(front, number, busy))?;
                    Ok((front, bound))
                };
                let fronts = fronts.map(bind).collect::<Result<_, Failure>>()?;
                Ok(Self::Listening(port::bind(address, number, exactly)?, fronts))
            }
            Some(_) => {
                let reserve = |(front, number)| {
                    port::reserve(address, number, true).map_err(|busy| port::of_front(front, number, busy))
                };
                let fronts = fronts.map(reserve).collect::<Result<_, Failure>>()?;
                Ok(Self::Reserved(port::reserve(address, number, exactly)?, fronts))
            }
        }
    }

    /// The API's.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Listening(listener, _) => listener.local_addr(),
            Self::Reserved(socket, _) => socket.local_addr(),
        }
    }
}

impl Parts {
    /// Starts them; when it returns, the API answers.
    pub(super) async fn start(plan: &Plan, ports: Ports, published: &Arc<Published>) -> Result<Self, Failure> {
        match (&plan.cluster, ports) {
            (Some(cluster), Ports::Reserved(port, fronts)) => {
                supervise(plan, cluster, port, fronts, published).await.map(Self::Processes)
            }
            (None, Ports::Listening(listener, fronts)) => {
                embed(plan, published, listener, fronts).await.map(Self::Embedded)
            }
            _ => Err(Failure::internal("the port is already in use for another target")),
        }
    }

    /// Where the simulated issuer listens; none if an outside one is used.
    pub(super) fn issuer_url(&self) -> Option<String> {
        match self {
            Self::Embedded(platform) => platform.issuer_address().map(|address| format!("http://{address}")),
            Self::Processes(supervisor) => supervisor.issuer_url(),
        }
    }

    /// Waits until a part ends by itself, for good, and names it. Cancel safe.
    pub(super) async fn failed(&mut self) -> &'static str {
        match self {
            Self::Embedded(platform) => platform.failed().await,
            // A child that ends is started again.
            Self::Processes(_) => std::future::pending().await,
        }
    }

    /// Stops them in order. Whether everything in flight was finished in time.
    pub(super) async fn stop(self, drain: Duration) -> bool {
        match self {
            Self::Embedded(platform) => {
                let stopped = tokio::time::timeout(drain + CLOSE_LIMIT, platform.stop()).await;
                stopped.is_ok_and(|stopped| stopped.drained)
            }
            Self::Processes(supervisor) => supervisor.stop().await,
        }
    }
}

async fn supervise(
    plan: &Plan,
    cluster: &ClusterPlan,
    port: TcpSocket,
    fronts: Vec<TcpSocket>,
    published: &Arc<Published>,
) -> Result<Box<Supervisor>, Failure> {
    let paths = &plan.paths;
    secrets::load_or_make(&paths.dir)?;
    Remembered::of(&cluster.address).store(paths).map_err(|error| state::directory(paths, &error))?;
    let options = StartOptions {
        paths: paths.clone(),
        settings: plan.settings.clone(),
        address: cluster.address.clone(),
        port,
        fronts,
        servers: plan.servers(),
        workers: plan.workers(),
        autoscale: cluster.autoscale,
        published: Arc::clone(published),
    };
    Supervisor::start(options).await.map(Box::new)
}

async fn embed(
    plan: &Plan,
    published: &Published,
    listener: TcpListener,
    fronts: Vec<(Front, TcpListener)>,
) -> Result<Box<Platform>, Failure> {
    let data = &published.record().data_dir;
    let secrets = secrets::load_or_make(data)?;
    // Accepts would be refused: better said now than by a platform that does not get ready.
    sqlite::room(data).map_err(|error| state::ledger(data, &plan.paths, &error))?;
    let kinds = card_kinds::Registry::default();
    let store = sqlite::open(&Paths::ledger(data), &plan.settings.ledger, &kinds.known())
        .await
        .map_err(|error| state::ledger(data, &plan.paths, &error))?;
    let engine = Arc::clone(&store.engine);
    let options = PlatformOptions {
        kinds,
        store,
        settings: plan.settings.clone(),
        secrets,
        listener,
        issuer_listener: None,
        fronts,
        workers: plan.workers(),
        host: hostname(),
    };
    match Platform::start(options).await {
        Ok(platform) => Ok(Box::new(platform)),
        Err(error) => {
            engine.close().await;
            let code = if matches!(error, StartError::Settings(_)) { "settings" } else { "start" };
            Err(Failure::new(code, Exit::NotReady, format!("the platform can't start: {error}"))
                .fix("cardctl config show names where each setting comes from")
                .left("nothing was started; the data is unchanged"))
        }
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
