//! The way to Redis, whatever stands behind it: one server, a Redis Cluster, or the master that sentinels name.
//!
//! One multiplexed connection, made anew when it breaks; while Redis is away a caller is told at once for a moment
//! after each failed try, so that nobody piles up behind a time-out. A server that takes no writes (a replica, one that
//! loads its data) is away, too: a connection is used only after it has carried out a write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use redis::{ConnectionInfo, ServerErrorKind, TlsMode, aio::PubSub};
use tokio::sync::Mutex;

use super::address::{Reach, RedisAddress};
use crate::engine::{EngineError, ErrorKind as EngineErrorKind};

const CONNECT: Duration = Duration::from_secs(1);
/// Every command here takes microseconds; a server that needs longer is away.
const ANSWER: Duration = Duration::from_secs(2);
/// After a failed try the next is made no sooner.
const PAUSE: Duration = Duration::from_millis(100);
/// What lasts is said again no more often.
const REMINDER: Duration = Duration::from_secs(60);

enum Source {
    Single(Client),
    Cluster {
        client: Box<ClusterClient>,
        nodes: Vec<ConnectionInfo>,
    },
    /// With a password for the sentinels, if there is one, and without: many sentinels have none. The master gets it always.
    Sentinel(Mutex<Vec<SentinelClient>>),
}

/// An open connection; cheap to clone.
#[derive(Clone)]
pub(in super::super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[derive(Default)]
struct State {
    open: Option<Connection>,
    /// Counts connections, so that a late failure of an old one does not close the new one.
    generation: u64,
    failed_at: Option<Instant>,
    /// Since it was last said that Redis is away; none while it is not.
    away: Option<Instant>,
    /// When it was last said of each kind of error that Redis refuses something.
    refused: HashMap<String, Instant>,
}

/// The way to Redis.
pub(in super::super) struct Link {
    pub(super) address: RedisAddress,
    source: Source,
    /// A key that nobody has: deleting it shows that writes are taken.
    nothing: String,
    state: StdMutex<State>,
    connecting: Mutex<()>,
}

impl Link {
    /// Connects to nothing yet. The prefix begins the names of all keys.
    pub(in super::super) fn new(url: &str, prefix: &str) -> Result<Arc<Self>, EngineError> {
        let broken = |reason: String| {
            EngineError::new(EngineErrorKind::Broken, format!("the address of Redis can't be used: {reason}"))
                .fixed_by("correct it: docs/operations.md lists the forms")
        };
        let address = RedisAddress::parse(url).map_err(|reason| broken(reason.to_owned()))?;
        let source = source(&address).map_err(|error| broken(error.to_string()))?;
        let (state, connecting) = (StdMutex::default(), Mutex::default());
        Ok(Arc::new(Self { address, source, nothing: format!("{prefix}:nothing"), state, connecting }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command or script; a connection that turns out to be broken is left for a new one.
    pub(in super::super) async fn run<T, F>(&self, work: impl FnOnce(Connection) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (connection, generation) = self.connection().await?;
        let done = work(connection).await;
        match &done {
            Err(error) if breaks(error) => self.failed(generation, error),
            Err(error) => self.refused(error),
            Ok(_) => {}
        }
        done
    }

    /// As [`run`](Self::run), for what may be refused: nothing is said of that.
    pub(super) async fn ask<T, F>(&self, work: impl FnOnce(Connection) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (connection, _) = self.connection().await?;
        work(connection).await
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().open.is_some()
    }

    /// Says that Redis refuses something, such as for want of memory: once in a while, and not for each call.
    fn refused(&self, error: &RedisError) {
        let code = error.code().unwrap_or("other").to_owned();
        let mut state = self.state();
        if state.refused.get(&code).is_some_and(|said| said.elapsed() < REMINDER) {
            return;
        }
        state.refused.insert(code, Instant::now());
        drop(state);
        tracing::warn!(%error, "Redis refuses a command; tasks wait in the ledger meanwhile");
    }

    async fn connection(&self) -> RedisResult<(Connection, u64)> {
        if let Some(open) = self.open()? {
            return Ok(open);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(open) = self.open()? {
            return Ok(open);
        }
        let made = self.connect().await;
        let mut state = self.state();
        match made {
            Ok(connection) => {
                state.generation += 1;
                state.open = Some(connection.clone());
                state.failed_at = None;
                let was_away = state.away.take().is_some();
                let answer = (connection, state.generation);
                drop(state);
                if was_away {
                    tracing::info!("Redis is back");
                }
                Ok(answer)
            }
            Err(error) => {
                state.failed_at = Some(Instant::now());
                say_away(state, &error);
                Err(error)
            }
        }
    }

    fn open(&self) -> RedisResult<Option<(Connection, u64)>> {
        let state = self.state();
        if state.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(RedisError::from((ErrorKind::Io, "Redis was unreachable a moment ago")));
        }
        Ok(state.open.clone().map(|open| (open, state.generation)))
    }

    fn failed(&self, generation: u64, error: &RedisError) {
        let mut state = self.state();
        if state.generation != generation || state.open.is_none() {
            return;
        }
        state.open = None;
        say_away(state, error);
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        let connecting = async {
            let mut connection = match &self.source {
                Source::Single(client) => {
                    Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
                }
                Source::Cluster { client, .. } => Connection::Cluster(client.get_async_connection().await?),
                Source::Sentinel(clients) => {
                    let client = master(clients).await?;
                    Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
                }
            };
            // A replica answers reads, and one that was a master a moment ago is as easily connected to.
            redis::cmd("DEL").arg(&self.nothing).query_async::<()>(&mut connection).await?;
            Ok(connection)
        };
        // Asking sentinels and nodes in turn can take longer than any one of them may.
        tokio::time::timeout(2 * CONNECT, connecting).await.unwrap_or_else(|_| {
            Err(RedisError::from((ErrorKind::Io, "Redis did not accept the login within two seconds")))
        })
    }

    /// A connection of its own for messages. In a cluster any node hears what is published on any other; `turn` says
    /// which one is tried.
    pub(in super::super) async fn messages(&self, turn: usize) -> RedisResult<PubSub> {
        let connecting = async {
            match &self.source {
                Source::Single(client) => client.get_async_pubsub().await,
                Source::Cluster { nodes, .. } => {
                    Client::open(nodes[turn % nodes.len()].clone())?.get_async_pubsub().await
                }
                Source::Sentinel(clients) => master(clients).await?.get_async_pubsub().await,
            }
        };
        tokio::time::timeout(2 * CONNECT, connecting).await.unwrap_or_else(|_| {
            Err(RedisError::from((ErrorKind::Io, "Redis did not accept the login within two seconds")))
        })
    }
}

/// Says that Redis is away: when it begins, and once in a while as long as it lasts.
fn say_away(mut state: std::sync::MutexGuard<'_, State>, error: &RedisError) {
    let before = state.away;
    if before.is_some_and(|said| said.elapsed() < REMINDER) {
        return;
    }
    state.away = Some(Instant::now());
    drop(state);
    match before {
        None => tracing::warn!(%error, "Redis is unreachable; the sweep finds waiting tasks when it is back"),
        Some(_) => tracing::warn!(%error, "Redis is still unreachable"),
    }
}

/// The master that the sentinels name.
async fn master(clients: &Mutex<Vec<SentinelClient>>) -> RedisResult<Client> {
    let mut clients = clients.lock().await;
    let mut failed = None;
    for at in 0..clients.len() {
        match clients[at].async_get_client().await {
            Ok(client) => {
                // What worked is tried first the next time.
                clients.swap(0, at);
                return Ok(client);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or_else(|| RedisError::from((ErrorKind::EmptySentinelList, "no sentinels"))))
}

/// Whether another connection, perhaps to another server, may do better, and this one is of no use.
fn breaks(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
                // A fail-over made the server a replica; or it is only beginning.
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::BusyLoading
            )
    ) || matches!(error.code(), Some("NOREPLICAS" | "NOAUTH" | "MISCONF"))
        || error.is_unrecoverable_error()
}

fn source(address: &RedisAddress) -> RedisResult<Source> {
    let nodes = || address.hosts.iter().map(|host| address.node(host)).collect::<RedisResult<Vec<_>>>();
    match &address.reach {
        Reach::Single { .. } => Ok(Source::Single(Client::open(address.node(&address.hosts[0])?)?)),
        Reach::Cluster => {
            let nodes = nodes()?;
            let client = ClusterClient::builder(nodes.clone())
                .connection_timeout(CONNECT)
                .response_timeout(ANSWER)
                .retries(3)
                .build()?;
            Ok(Source::Cluster { client: Box::new(client), nodes })
        }
        Reach::Sentinel { master, database } => {
            let client = |known: bool| {
                let hosts = address.hosts.iter().map(|(host, port)| address.at(host, *port));
                let mut builder = SentinelClientBuilder::new(hosts, master, SentinelServerType::Master)?
                    .set_client_to_redis_db(*database);
                if address.tls {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
                }
                if let Some(user) = &address.user {
                    builder = builder.set_client_to_redis_username(user);
                    if known {
                        builder = builder.set_client_to_sentinel_username(user);
                    }
                }
                if let Some(password) = &address.password {
                    builder = builder.set_client_to_redis_password(password);
                    if known {
                        builder = builder.set_client_to_sentinel_password(password);
                    }
                }
                builder.build()
            };
            let mut clients = vec![client(true)?];
            if address.password.is_some() {
                clients.push(client(false)?);
            }
            Ok(Source::Sentinel(Mutex::new(clients)))
        }
    }
}
