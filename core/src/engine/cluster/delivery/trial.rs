//! Trying out whether a Redis can be used: every script and command once, on keys that are gone afterwards. What waiting
//! would not change is told at once, with what to do about it; a Redis that is away only delays.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::rows::Identity;
use super::address::Reach;
use super::{Delivery, Link, QueueId, Ready, Tidying};
use crate::engine::{ClaimRequest, EngineError, ErrorKind as EngineErrorKind, KnownKind};
use crate::ids::{TaskId, WorkerId};
use crate::tasks::{Kind, Priority};
use crate::time::Instant;

const ANSWER: Duration = Duration::from_secs(2);
/// The only policy under which what is offered stays until it is claimed.
const KEEPS: &str = "noeviction";

const NO_CLUSTER: (&str, &str) = ("it is not a Redis Cluster", "redis:// instead of redis-cluster://");

/// What is known of a Redis that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisReport {
    /// Whether it answered.
    pub reached: bool,
    /// Its `maxmemory-policy`, if that is one that removes keys.
    pub evicts: Option<String>,
}

/// Why a Redis can't be used, whatever one waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisTrouble {
    /// What it said or did. It holds no password.
    pub reason: String,
    /// What to do.
    pub fix: &'static str,
}

impl From<RedisTrouble> for EngineError {
    fn from(trouble: RedisTrouble) -> Self {
        Self::new(EngineErrorKind::Broken, format!("Redis can't be used: {}", trouble.reason)).fixed_by(trouble.fix)
    }
}

/// Tries a Redis out.
///
/// # Errors
/// It is there and can't be used as it is.
pub(in super::super) async fn try_out(link: &Arc<Link>, prefix: &str) -> Result<RedisReport, RedisTrouble> {
    let prefix = format!("{prefix}:trial:{:08x}", rand::random::<u32>());
    let delivery = Delivery::new(Arc::clone(link), &prefix, 10);
    match exercise(&delivery).await {
        Ok(()) => Ok(RedisReport { reached: true, evicts: delivery.evicts().await }),
        Err(error) => match trouble(link, &error).await {
            Some(trouble) => Err(trouble),
            None => Ok(RedisReport::default()),
        },
    }
}

async fn exercise(delivery: &Delivery) -> RedisResult<()> {
    let (now, worker) = (Instant::now(), WorkerId::new());
    let kind = KnownKind { code: 0, kind: Kind::new("trial"), has_effect: false };
    let identity = Identity {
        seq: 1,
        id: TaskId::new(),
        kind,
        owner: None,
        run: None,
        accepted_at: now,
        priority: Priority::Normal,
        due_at: None,
    };
    let queue = QueueId::new(kind.code, Priority::Normal);
    let task = identity.id;
    let ready = Ready { identity, payload: RawValue::NULL.to_owned(), attempts: 0, due_at: now };
    let lease = Duration::from_secs(3);
    let request = ClaimRequest {
        worker,
        host: "trial".into(),
        kinds: vec![kind.kind],
        max: 1,
        lease,
        wait: Duration::ZERO,
        most: std::collections::BTreeMap::new(),
        enough: None,
    };
    delivery.offer(0, queue, &[&ready]).await?;
    delivery.check(0, queue, &[&ready]).await?;
    let claimed = delivery.claim(&request, &[kind], now).await?;
    let leases: Vec<_> = claimed.iter().map(|(_, lease)| *lease).collect();
    delivery.extend(&leases, lease).await?;
    delivery.adopt(&leases, lease, now).await?;
    delivery.held(0, queue, &[task]).await?;
    delivery.tidy(&mut Tidying::default(), &[queue], 10).await?;
    delivery.see(worker, Some("trial"), now).await?;
    delivery.figures(&[kind], now).await?;
    delivery.leave().await?;
    delivery.take_turn(1, Duration::ZERO).await?;
    delivery.sweeper().await?;
    delivery.forget(0, queue, &[task]).await?;
    delivery.publish(&delivery.keys.note, Vec::new()).await?;
    for key in [delivery.keys.place(0, queue).stream.clone(), delivery.keys.sweeper()] {
        let mut command = redis::cmd("DEL");
        command.arg(key);
        delivery.link.run(|mut connection| async move { command.query_async::<()>(&mut connection).await }).await?;
    }
    let (mut sink, _stream) = delivery.link.messages(0).await?.split();
    timeout(ANSWER, sink.subscribe(&delivery.keys.note)).await.map_err(io::Error::from)?
}

impl Delivery {
    /// The policy by which Redis removes keys when it is full; none if it removes none, or does not let us know.
    pub(in super::super) async fn evicts(&self) -> Option<String> {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let answer: RedisResult<redis::Value> =
            self.link.ask(|mut connection| async move { command.query_async(&mut connection).await }).await;
        // A cluster answers for each node.
        let text = match answer.ok()? {
            redis::Value::Map(nodes) => nodes.into_iter().map(|(_, text)| said(text)).collect::<Vec<_>>().join("\n"),
            one => said(one),
        };
        let policies = text.lines().filter_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
        policies.map(str::to_owned).find(|policy| policy != KEEPS)
    }
}

fn said(value: redis::Value) -> String {
    redis::from_redis_value(value).unwrap_or_default()
}

/// What there is to do about an error, if waiting does not help.
async fn trouble(link: &Link, error: &RedisError) -> Option<RedisTrouble> {
    let trouble = |reason: String, fix: &'static str| Some(RedisTrouble { reason, fix });
    let address = &link.address;
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => trouble(
            format!("it refuses this user ({error})"),
            "correct user and password in its address: redis://USER:PASSWORD@HOST:PORT/0",
        ),
        (
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain,
            ),
            _,
        )
        | (_, Some("OOM" | "MISCONF" | "NOREPLICAS" | "BUSY")) => None,
        (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::CrossSlot), _) => {
            trouble("it is a node of a Redis Cluster".to_owned(), "name its nodes: redis-cluster://HOST:PORT,HOST:PORT")
        }
        (ErrorKind::Server(ServerErrorKind::ResponseError), _)
            if address.reach == Reach::Cluster && is_no_cluster(link).await =>
        {
            trouble(NO_CLUSTER.0.to_owned(), NO_CLUSTER.1)
        }
        (ErrorKind::Server(ServerErrorKind::ResponseError), _) if address.database() != 0 && !link.is_open() => {
            trouble(
                format!("it has no database {} ({error})", address.database()),
                "name one that it has: the number after the last / of its address, from 0",
            )
        }
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => trouble(
            format!("it refuses what delivery needs ({error})"),
            "give its user the rights in docs/operations.md (Redis 7.0 or newer)",
        ),
        _ => match unreachable(link, error).await {
            Some((reason, fix)) => trouble(reason, fix),
            None => None,
        },
    }
}

/// Why a connection is not to be had, if that will not change.
async fn unreachable(link: &Link, error: &RedisError) -> Option<(String, &'static str)> {
    let address = &link.address;
    for (host, port) in &address.hosts {
        match speaks(host, *port).await {
            Speech::Plain if address.tls => {
                return Some((
                    format!("its address asks for TLS, and {host}:{port} speaks without"),
                    "redis:// instead of rediss://, or the port at which it speaks TLS",
                ));
            }
            Speech::Tls if !address.tls => {
                return Some((
                    format!("{host}:{port} speaks TLS, and its address does not ask for it"),
                    "rediss:// instead of redis://, or the port at which it speaks without",
                ));
            }
            Speech::Tls if is_refused_certificate(error) => {
                return Some((
                    format!("the certificate of {host}:{port} is not trusted ({error})"),
                    "let SSL_CERT_FILE name a file with the certificate of its CA, and the address name the host as the \
                     certificate does",
                ));
            }
            _ => {}
        }
    }
    match &address.reach {
        Reach::Cluster => is_no_cluster(link).await.then(|| (NO_CLUSTER.0.to_owned(), NO_CLUSTER.1)),
        Reach::Sentinel { master, .. } => unknown_to_sentinels(link, master).await.then(|| {
            (
                format!("the sentinels know no master {master:?}"),
                "name it as the sentinels do: redis-sentinel://HOST:PORT/NAME",
            )
        }),
        Reach::Single { .. } => None,
    }
}

enum Speech {
    Plain,
    Tls,
    Unknown,
}

/// What is spoken at a port. A Redis answers a command in plain text; whoever speaks TLS answers a handshake that means
/// nothing with an alert.
async fn speaks(host: &str, port: u16) -> Speech {
    if matches!(first_of_answer(host, port, b"PING\r\n").await, Some(b'+' | b'-')) {
        Speech::Plain
    } else if first_of_answer(host, port, b"\x16\x03\x01\x00\x05NEVER").await == Some(0x15) {
        Speech::Tls
    } else {
        Speech::Unknown
    }
}

async fn first_of_answer(host: &str, port: u16, said: &[u8]) -> Option<u8> {
    let asking = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(said).await?;
        let mut first = [0];
        stream.read_exact(&mut first).await?;
        io::Result::Ok(first[0])
    };
    timeout(ANSWER, asking).await.ok()?.ok()
}

fn is_refused_certificate(error: &RedisError) -> bool {
    let Some(source) = error.source() else { return false };
    let shared =
        source.downcast_ref::<Arc<dyn Error + Send + Sync>>().and_then(|error| error.downcast_ref::<io::Error>());
    shared.or_else(|| source.downcast_ref()).is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

async fn is_no_cluster(link: &Link) -> bool {
    for host in &link.address.hosts {
        let asked: RedisResult<String> = async {
            let client = Client::open(link.address.node(host)?)?;
            redis::cmd("CLUSTER").arg("INFO").query_async(&mut client.get_multiplexed_async_connection().await?).await
        }
        .await;
        match asked {
            Ok(_) => return false,
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => return true,
            Err(_) => {}
        }
    }
    false
}

/// A master that is down is known all the same.
async fn unknown_to_sentinels(link: &Link, master: &str) -> bool {
    for host in &link.address.hosts {
        for info in link.address.sentinel(host) {
            let asked: RedisResult<Option<(String, u16)>> = async {
                let client = Client::open(info?)?;
                let mut connection = client.get_multiplexed_async_connection().await?;
                let mut ask = redis::cmd("SENTINEL");
                ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master).query_async(&mut connection).await
            }
            .await;
            if let Ok(found) = asked {
                return found.is_none();
            }
        }
    }
    false
}
