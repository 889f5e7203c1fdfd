//! From addresses and settings to children that are up.

use std::net::SocketAddr;
use std::sync::Arc;

use card_core::engine::ErrorKind;
use card_core::engine::cluster::{Address, migrate, try_redis};
use card_core::process::Part;
use card_core::settings::Settings;
use tokio::net::TcpSocket;
use tokio_util::task::AbortOnDropHandle;

use super::autoscale::{Autoscaler, Bounds};
use super::control;
use super::fleet::Fleet;
use super::orders::Orders;
use super::roster::Child;
use super::{CLOSE_LIMIT, Supervisor};
use crate::cluster::{Place, Service, reach};
use crate::failure::Failure;
use crate::instance::{LogMark, Paths, Published};
use card_core::exit::Exit;

/// What a supervisor is made of.
pub struct StartOptions {
    /// Where the instance keeps what; its secrets are there.
    pub paths: Paths,
    pub settings: Settings,
    /// Where ledger and delivery are.
    pub address: Address,
    /// Bound, not listening: keeps the port for the servers.
    pub port: TcpSocket,
    /// Likewise, for the fronts.
    pub fronts: Vec<TcpSocket>,
    /// How many servers.
    pub servers: usize,
    /// How many workers, or between which bounds.
    pub workers: usize,
    /// Set: the number of workers is managed by the autoscaler.
    pub autoscale: Option<Bounds>,
    /// What others are told.
    pub published: Arc<Published>,
}

impl Supervisor {
    /// Brings the schema up to date and starts the children. When it returns, all of them are up.
    ///
    /// # Errors
    /// What stands in the way. No child is left then.
    pub async fn start(options: StartOptions) -> Result<Self, Failure> {
        let StartOptions { paths, settings, address, port, fronts, servers, workers, autoscale, published } = options;
        let listens = port.local_addr().map_err(Failure::internal)?;
        prepare(&address).await?;
        try_out(&address, &settings).await?;
        let drain = settings.server.drain_timeout;
        let log = LogMark::now(&paths);
        let fleet = Fleet::new(Orders::new(&settings, listens, address, &paths), drain + CLOSE_LIMIT);
        let publishing = publish(&fleet, published);
        let kinds = settings.worker.kinds().unwrap_or_default();
        let scaler = autoscale.map(|bounds| Arc::new(Autoscaler::new(bounds, settings.autoscale.clone(), kinds)));
        let control = control::serve(&paths, Arc::clone(&fleet), scaler.clone())
            .map_err(|error| crate::instance::state_directory(&paths, &error))?;
        if let Err(child) = bring_up(&fleet, servers, autoscale.map_or(workers, |bounds| bounds.min)).await {
            let failure = died(&child, &log);
            fleet.end_all().await;
            return Err(failure);
        }
        let autoscaler = scaler.map(|scaler| {
            let (fleet, url) = (Arc::clone(&fleet), reachable(listens));
            AbortOnDropHandle::new(tokio::spawn(async move { scaler.run(&fleet, &url).await }))
        });
        Ok(Self { fleet, autoscaler, control, publishing, _port: port, _fronts: fronts })
    }
}

/// The issuer first: workers are told where it is.
async fn bring_up(fleet: &Arc<Fleet>, servers: usize, workers: usize) -> Result<(), Child> {
    fleet.start_issuer().await?;
    fleet.scale(Part::Server, servers);
    fleet.scale(Part::Worker, workers);
    fleet.first_up().await
}

/// What the children count on: a ledger of this version.
async fn prepare(address: &Address) -> Result<(), Failure> {
    let place = Place::of(Service::Postgres, &address.database).map_err(Failure::internal)?;
    reach(&place).await.map_err(|reason| unreachable(&place, reason))?;
    match migrate(&address.database).await {
        Ok(migrated) if migrated.from == migrated.to => Ok(()),
        Ok(migrated) => {
            tracing::info!(database = %place, from = migrated.from, to = migrated.to, "the schema was upgraded");
            Ok(())
        }
        Err(error) => {
            let fix = error.fix();
            let reason = place.scrub(&error.shared().to_string());
            if error.kind() == ErrorKind::Unavailable {
                return Err(unreachable(&place, reason));
            }
            Err(Failure::new("database", Exit::NotReady, format!("the database {place} can't be used"))
                .evidence(reason)
                .fix(fix.unwrap_or(
                    "correct CARDCTL_DATABASE or --database; it needs a separate database and a role that owns it",
                ))
                .left("nothing was started; the database is unchanged"))
        }
    }
}

/// And on a Redis that can be used. One that is away only delays.
async fn try_out(address: &Address, settings: &Settings) -> Result<(), Failure> {
    let place = Place::of(Service::Redis, &address.redis).map_err(Failure::internal)?;
    let tried = try_redis(&address.redis, &settings.delivery.prefix).await;
    tried.map(drop).map_err(|trouble| {
        Failure::new("redis", Exit::NotReady, format!("the Redis at {place} can't be used"))
            .evidence(place.scrub(&trouble.reason))
            .fix(format!("{}; set it with CARDCTL_REDIS or --redis", trouble.fix))
            .left("nothing was started")
    })
}

fn unreachable(place: &Place, reason: String) -> Failure {
    Failure::new("database-unreachable", Exit::NotReady, format!("Postgres can't be reached at {place}"))
        .evidence(reason)
        .fix("start it, or correct CARDCTL_DATABASE or --database; check with cardctl -t processes doctor")
        .left("nothing was started")
}

fn died(child: &Child, log: &LogMark) -> Failure {
    let name = &child.name;
    let how = child.last_exit.as_deref().unwrap_or("it ended");
    let failure = Failure::new("child", Exit::NotReady, format!("{name} does not start: {how}"))
        .fix(format!("cardctl logs {name}"))
        .left("nothing is running; the data is unchanged");
    log.said_by(name).into_iter().fold(failure, Failure::evidence)
}

/// Keeps `instance.json` true.
fn publish(fleet: &Arc<Fleet>, published: Arc<Published>) -> AbortOnDropHandle<()> {
    let (fleet, mut changes) = (Arc::clone(fleet), fleet.changes());
    AbortOnDropHandle::new(tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            let stored = published.change(|record| {
                record.children = fleet.children().into_iter().filter_map(|child| child.recorded()).collect();
                record.servers = fleet.staying(Part::Server).len();
                record.workers = fleet.staying(Part::Worker).len();
                record.issuer_url = fleet.issuer_url();
            });
            if let Err(error) = stored {
                tracing::warn!(%error, "instance.json can't be written");
            }
        }
    }))
}

/// Listening everywhere is not a place to go to.
fn reachable(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{address}")
}
