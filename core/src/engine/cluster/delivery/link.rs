//! The way to Redis, whatever stands behind it: one server, a Redis Cluster, or the master that sentinels name.
//!
//! One multiplexed connection, made anew when it breaks; while Redis is away a caller is told at once for a moment
//! after each failed try, so that nobody piles up behind a time-out.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use redis::{ServerErrorKind, aio::PubSub};
use tokio::sync::Mutex;

use crate::engine::{EngineError, ErrorKind as EngineErrorKind};

const CONNECT: Duration = Duration::from_secs(1);
/// Every command here takes microseconds; a server that needs longer is away.
const ANSWER: Duration = Duration::from_secs(2);
/// After a failed try the next is made no sooner.
const PAUSE: Duration = Duration::from_millis(100);

enum Source {
    Single(Client),
    Cluster { client: Box<ClusterClient>, nodes: Vec<String> },
    Sentinel(Mutex<SentinelClient>),
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
    away: bool,
}

/// The way to Redis.
pub(in super::super) struct Link {
    source: Source,
    state: StdMutex<State>,
    connecting: Mutex<()>,
}

impl Link {
    /// Connects to nothing yet.
    pub(in super::super) fn new(url: &str) -> Result<Arc<Self>, EngineError> {
        let source = source(url).map_err(|error| {
            EngineError::new(EngineErrorKind::Broken, "the address of Redis means nothing").caused_by(error)
        })?;
        Ok(Arc::new(Self { source, state: StdMutex::default(), connecting: Mutex::default() }))
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
            _ => {}
        }
        done
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
                if std::mem::take(&mut state.away) {
                    tracing::info!("Redis is back");
                }
                Ok((connection, state.generation))
            }
            Err(error) => {
                state.failed_at = Some(Instant::now());
                let was_away = std::mem::replace(&mut state.away, true);
                drop(state);
                if !was_away {
                    tracing::warn!(%error, "Redis is away: work is found by the sweep when it is back");
                }
                Err(error)
            }
        }
    }

    fn open(&self) -> RedisResult<Option<(Connection, u64)>> {
        let state = self.state();
        if state.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(RedisError::from((ErrorKind::Io, "Redis was away a moment ago")));
        }
        Ok(state.open.clone().map(|open| (open, state.generation)))
    }

    fn failed(&self, generation: u64, error: &RedisError) {
        let mut state = self.state();
        if state.generation != generation || state.open.is_none() {
            return;
        }
        state.open = None;
        let was_away = std::mem::replace(&mut state.away, true);
        drop(state);
        if !was_away {
            tracing::warn!(%error, "the connection to Redis broke; connecting again");
        }
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        let connecting = async {
            match &self.source {
                Source::Single(client) => {
                    client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Single)
                }
                Source::Cluster { client, .. } => client.get_async_connection().await.map(Connection::Cluster),
                Source::Sentinel(client) => {
                    let mut client = client.lock().await;
                    client.get_async_connection_with_config(&config).await.map(Connection::Single)
                }
            }
        };
        // Asking sentinels and nodes in turn can take longer than any one of them may.
        tokio::time::timeout(2 * CONNECT, connecting)
            .await
            .unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "Redis did not let us in within two seconds"))))
    }

    /// A connection of its own for messages. In a cluster any node hears what is published on any other; `turn` says
    /// which one is tried.
    pub(in super::super) async fn messages(&self, turn: usize) -> RedisResult<PubSub> {
        let connecting = async {
            match &self.source {
                Source::Single(client) => client.get_async_pubsub().await,
                Source::Cluster { nodes, .. } => {
                    Client::open(nodes[turn % nodes.len()].as_str())?.get_async_pubsub().await
                }
                Source::Sentinel(client) => {
                    let client = client.lock().await.async_get_client().await?;
                    client.get_async_pubsub().await
                }
            }
        };
        tokio::time::timeout(2 * CONNECT, connecting)
            .await
            .unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "Redis did not let us in within two seconds"))))
    }
}

/// Whether another connection, perhaps to another server, may do better.
fn breaks(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
                // A fail-over made the server a replica.
                ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown
            )
    ) || error.is_unrecoverable_error()
}

fn source(url: &str) -> RedisResult<Source> {
    let invalid = |what| RedisError::from((ErrorKind::InvalidClientConfig, what));
    if let Some((tls, rest)) = prefixed(url, "redis-cluster", "rediss-cluster") {
        let scheme = if tls { "rediss" } else { "redis" };
        let (user, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, hosts)| (user, hosts));
        let at = if user.is_empty() { "" } else { "@" };
        let nodes: Vec<_> = hosts
            .trim_end_matches('/')
            .split(',')
            .filter(|host| !host.is_empty())
            .map(|host| format!("{scheme}://{user}{at}{host}"))
            .collect();
        if nodes.is_empty() {
            return Err(invalid("a redis-cluster:// address names its nodes: host:port,host:port"));
        }
        let client = ClusterClient::builder(nodes.clone())
            .connection_timeout(CONNECT)
            .response_timeout(ANSWER)
            .retries(3)
            .build()?;
        return Ok(Source::Cluster { client: Box::new(client), nodes });
    }
    if let Some((_, rest)) = prefixed(url, "redis-sentinel", "rediss-sentinel") {
        let (hosts, name) =
            rest.split_once('/').filter(|(hosts, name)| !hosts.is_empty() && !name.is_empty()).ok_or_else(|| {
                invalid("a redis-sentinel:// address ends with the master's name: host:port,host:port/name")
            })?;
        let sentinels: Vec<_> = hosts.split(',').map(|host| format!("redis://{host}")).collect();
        let client = SentinelClient::build(sentinels, name, None, SentinelServerType::Master)?;
        return Ok(Source::Sentinel(Mutex::new(client)));
    }
    Ok(Source::Single(Client::open(url)?))
}

fn prefixed<'a>(url: &'a str, plain: &str, tls: &str) -> Option<(bool, &'a str)> {
    let (scheme, rest) = url.split_once("://")?;
    (scheme == plain || scheme == tls).then_some((scheme == tls, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_server_a_cluster_or_sentinels() {
        assert!(matches!(source("redis://127.0.0.1:6379/2").unwrap(), Source::Single(_)));
        let Source::Cluster { nodes, .. } = source("redis-cluster://me:word@a:1,b:2/").unwrap() else { panic!() };
        assert_eq!(nodes, ["redis://me:word@a:1", "redis://me:word@b:2"]);
        assert!(matches!(source("redis-sentinel://a:1,b:2/cards").unwrap(), Source::Sentinel(_)));
    }

    #[test]
    fn an_address_that_means_nothing_is_refused_without_showing_it() {
        for url in ["", "postgres://a", "redis-cluster://", "redis-sentinel://secret@a:1", "redis://:secret@"] {
            let Some(error) = Link::new(url).err() else { panic!("{url} was taken") };
            assert_eq!(error.kind(), EngineErrorKind::Broken);
            assert!(!format!("{:?}", error.shared()).contains("secret"), "{error:?}");
        }
    }
}
