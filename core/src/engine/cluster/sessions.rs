//! Every connection to Postgres begins here, the pool's as well: which server it leads to, what its session is set to,
//! and when connections that were made earlier may no longer be used.
//!
//! What a 2xx promises rests on settings of the session and on the server being the primary. Neither is believed: the
//! settings are set by statements (a pooler drops what the startup packet asks for), read back, and compared; a server
//! that is read-only or recovers is refused. After a switchover the old primary may stay up and answer: connections to it
//! are not broken, so they have to be given up.

mod fitness;
mod pooler;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

pub(super) use self::fitness::Unfit;
use super::address::Server;
use super::failure::{Cause, cause, reason};
use crate::engine::EngineError;

/// Connections for reads and rare writes. Reads of a thousand watchers share them: each takes a fraction of a
/// millisecond.
const POOL: u32 = 8;
const ACQUIRE: Duration = Duration::from_secs(3);
/// One server is given so long to let a writer in, whose callers wait.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// And so long who opens the ledger.
pub(super) const PATIENT: Duration = Duration::from_secs(10);
/// Connections beyond the first that nobody needed for so long are given back: others may be short of them.
const IDLE: Duration = Duration::from_secs(10);
/// A server that refused us is not asked again for so long.
const REFUSAL: Duration = Duration::from_millis(250);

/// See the module.
pub(super) struct Sessions {
    servers: Vec<Server>,
    /// The server that the latest connection led to.
    current: AtomicUsize,
    state: Mutex<State>,
    pool: OnceLock<PgPool>,
}

struct State {
    /// Connections from before this are not used any more.
    trusted_since: Instant,
    /// When the server process that the latest connection led to was started: tells servers apart, and restarts.
    started: Option<String>,
    /// Why the latest connection was not made, and when.
    refusal: Option<Refusal>,
}

struct Refusal {
    at: Instant,
    why: Arc<str>,
    /// An operator has to do something.
    lasting: bool,
}

impl Sessions {
    /// For an address and what the environment adds to it. Connects to nothing.
    ///
    /// # Errors
    /// `Broken`: the address can't be used.
    pub(super) fn new(database: &str) -> Result<Arc<Self>, EngineError> {
        let servers = Server::of(database, |name| std::env::var(name).ok())?;
        let state = State { trusted_since: Instant::now(), started: None, refusal: None };
        Ok(Arc::new(Self {
            servers: servers.into_iter().map(Server::prepared).collect(),
            current: AtomicUsize::new(0),
            state: Mutex::new(state),
            pool: OnceLock::new(),
        }))
    }

    /// A connection to the primary, with a session that keeps what we promise. Servers are asked in the order of the
    /// address, beginning with the one that was the primary last.
    ///
    /// # Errors
    /// None of them can be used; why, of the last. [`cause`] tells whether trying again helps.
    pub(super) async fn connect(&self, limit: Duration) -> Result<PgConnection, sqlx::Error> {
        if let Some(refusal) = self.recent_refusal() {
            return Err(refusal);
        }
        let first = self.current.load(Ordering::Acquire);
        let mut failed = None;
        for step in 0..self.servers.len() {
            let at = (first + step) % self.servers.len();
            match self.connect_to(at, limit).await {
                Ok(connection) => {
                    self.turn_to(at);
                    return Ok(connection);
                }
                // Of several servers, one that refuses us says more than one that is away.
                Err(error) if failed.as_ref().is_none_or(|known| cause(known) != Cause::Refused) => {
                    failed = Some(error)
                }
                Err(_) => {}
            }
        }
        let error = failed.unwrap_or(sqlx::Error::PoolClosed);
        self.note(&error);
        Err(error)
    }

    async fn connect_to(&self, at: usize, limit: Duration) -> Result<PgConnection, sqlx::Error> {
        let server = &self.servers[at];
        let connecting = async {
            let mut connection = PgConnection::connect_with(&server.options).await?;
            match fitness::prepare(&mut connection, &server.settings).await {
                Ok(started) => {
                    self.met(started);
                    Ok(connection)
                }
                Err(error) => {
                    let _ = connection.close().await;
                    Err(error)
                }
            }
        };
        timeout(limit, connecting).await.unwrap_or_else(|_| Err(late()))
    }

    /// The pool whose connections are made as [`Sessions::connect`] makes them.
    ///
    /// With the two of the writers it takes no more than a quarter of the connections that there are, and one at least.
    pub(super) fn pool(self: &Arc<Self>, available: u32) -> PgPool {
        self.pool_of((available / 4).saturating_sub(2).clamp(1, POOL))
    }

    /// As [`Sessions::pool`], of so many connections. Whoever asks first says how many.
    pub(super) fn pool_of(self: &Arc<Self>, connections: u32) -> PgPool {
        let made = || {
            let (prepares, looks) = (Arc::clone(self), Arc::clone(self));
            PgPoolOptions::new()
                .max_connections(connections)
                .min_connections(1)
                .acquire_timeout(ACQUIRE)
                .idle_timeout(IDLE)
                // A connection that broke is found out by using it: reads are made again on the next one.
                .test_before_acquire(false)
                .after_connect(move |connection, _| {
                    let sessions = Arc::clone(&prepares);
                    Box::pin(async move { sessions.prepare_pooled(connection).await })
                })
                .before_acquire(move |_, about| {
                    let trusted = Instant::now().checked_sub(about.age).is_some_and(|made| looks.trusts(made));
                    Box::pin(std::future::ready(Ok(trusted)))
                })
                .connect_lazy_with(self.servers[self.current.load(Ordering::Acquire)].options.clone())
        };
        self.pool.get_or_init(made).clone()
    }

    async fn prepare_pooled(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let at = self.current.load(Ordering::Acquire);
        match fitness::prepare(connection, &self.servers[at].settings).await {
            Ok(started) => {
                self.met(started);
                Ok(())
            }
            Err(error) => {
                self.note(&error);
                // The pool tries again, and finds the next server if there is one.
                self.turn_to((at + 1) % self.servers.len());
                Err(error)
            }
        }
    }

    fn turn_to(&self, at: usize) {
        if self.current.swap(at, Ordering::AcqRel) != at
            && let Some(pool) = self.pool.get()
        {
            pool.set_connect_options(self.servers[at].options.clone());
        }
    }

    /// Takes in which server a new connection leads to. If that is another one than before, earlier connections are not
    /// used any more, though they may still work: what they lead to is not the primary any more, or was restarted.
    fn met(&self, started: String) {
        let mut state = self.lock();
        state.refusal = None;
        let other = state.started.as_ref().is_some_and(|known| *known != started);
        if other {
            state.trusted_since = Instant::now();
        }
        state.started = Some(started);
    }

    /// From now on no connection is used that was made before: the server that they lead to does not take writes.
    pub(super) fn distrust(&self) {
        self.lock().trusted_since = Instant::now();
    }

    /// Whether a connection that was made then may be used.
    pub(super) fn trusts(&self, made: Instant) -> bool {
        made >= self.lock().trusted_since
    }

    /// A connection out of the pool, for a writer that gets none of its own because the server has none to give: without
    /// it nothing would be accepted here, while others read at leisure.
    pub(super) async fn spare(&self) -> Option<PgConnection> {
        self.pool.get()?.acquire().await.ok().map(sqlx::pool::PoolConnection::detach)
    }

    /// Why the latest connection could not be made, for the log.
    pub(super) fn refusal(&self) -> Option<Arc<str>> {
        self.lock().refusal.as_ref().map(|refusal| Arc::clone(&refusal.why))
    }

    fn note(&self, error: &sqlx::Error) {
        let lasting = cause(error) == Cause::Refused;
        self.lock().refusal = Some(Refusal { at: Instant::now(), why: reason(error).into(), lasting });
    }

    fn recent_refusal(&self) -> Option<sqlx::Error> {
        let state = self.lock();
        let refusal = state.refusal.as_ref().filter(|refusal| refusal.lasting && refusal.at.elapsed() < REFUSAL)?;
        Some(Unfit { cause: Cause::Refused, message: refusal.why.to_string(), fix: None }.into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn late() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "Postgres did not answer in time"))
}
