//! Group commit: while one batch is on its way to Postgres, the next gathers. One statement, one round trip and one
//! fsync for a batch; when nobody else writes, a batch is one write and nothing waits.
//!
//! A connection that breaks in the middle leaves a batch of which nobody knows whether it was committed. The lane sends
//! it again, marked as such: the ledger then tells what the first try has done. Only when Postgres stays away are the
//! callers told that it is not known.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::failure::{self, Cause, cause};
use super::sessions::{CONNECT, Sessions, late};
use crate::engine::{EngineError, ErrorKind};

/// How long a batch is held for a Postgres that is away, before its callers are told. A restart takes about a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// One statement. Beyond, the server is taken for gone.
const STATEMENT: Duration = Duration::from_secs(10);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// More writes than this may not wait: the callers of the last ones would give up anyway.
const WAITING_LIMIT: usize = 65_536;

/// SQLSTATE `too_many_connections`.
const TOO_MANY: &str = "53300";

/// What a lane does with a batch.
#[async_trait]
pub(super) trait Work: Send + Sync + 'static {
    /// One write.
    type Ask: Send + Sync + 'static;
    /// What its caller is told.
    type Answer: Send + Sync + 'static;

    /// Whether an ask may share a batch with those before it.
    fn fits(&self, _batch: &[Self::Ask], _next: &Self::Ask) -> bool {
        true
    }

    /// Carries a batch out in one statement. `again`: an earlier try may have been carried out.
    async fn carry_out(
        &self,
        connection: &mut PgConnection,
        batch: &[Self::Ask],
        again: bool,
    ) -> Result<Vec<Self::Answer>, sqlx::Error>;

    /// What follows from a batch that is on disk, before the callers are told.
    fn committed(&self, batch: &[Self::Ask], answers: &[Self::Answer]);
}

type Reply<W> = oneshot::Sender<Result<<W as Work>::Answer, EngineError>>;
type Waiting<W> = (<W as Work>::Ask, Reply<W>);

/// The callers' end of a lane.
pub(super) struct Lane<W: Work> {
    sender: mpsc::Sender<Waiting<W>>,
}

impl<W: Work> Lane<W> {
    /// Starts a lane on a connection of its own, and with the first of them. It ends, after all that waits, when the last caller's end is dropped.
    pub(super) fn start(
        sessions: &Arc<Sessions>,
        first: PgConnection,
        work: Arc<W>,
        batch_limit: usize,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING_LIMIT);
        let connection = Some((first, std::time::Instant::now()));
        let lane = Running { sessions: Arc::clone(sessions), work, batch_limit, connection, away: false };
        (Self { sender }, tokio::spawn(lane.run(receiver)))
    }

    /// Hands in a write and waits until it is on disk.
    pub(super) async fn ask(&self, ask: W::Ask) -> Result<W::Answer, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.sender.try_send((ask, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                EngineError::new(ErrorKind::Unavailable, "too many writes wait for Postgres")
            }
            mpsc::error::TrySendError::Closed(_) => failure::closed(),
        })?;
        answer.await.map_err(|_| failure::closed())?
    }
}

struct Running<W: Work> {
    sessions: Arc<Sessions>,
    work: Arc<W>,
    batch_limit: usize,
    /// With the time before which it was made.
    connection: Option<(PgConnection, std::time::Instant)>,
    /// The last batch failed for want of Postgres: the next is tried once, so that its callers hear of it at once.
    away: bool,
}

impl<W: Work> Running<W> {
    async fn run(mut self, mut receiver: mpsc::Receiver<Waiting<W>>) {
        let mut waiting = Vec::with_capacity(self.batch_limit);
        while receiver.recv_many(&mut waiting, self.batch_limit).await > 0 {
            while !waiting.is_empty() {
                let (asks, replies) = self.batch(&mut waiting);
                self.write(asks, replies, false).await;
            }
            if self.away {
                // Who came meanwhile has waited for the same.
                while let Ok((_, reply)) = receiver.try_recv() {
                    let _ = reply.send(Err(EngineError::new(ErrorKind::Unavailable, "Postgres is unreachable")));
                }
            }
        }
        if let Some((connection, _)) = self.connection {
            let _ = connection.close().await;
        }
    }

    /// The longest beginning of what waits whose asks fit together.
    fn batch(&self, waiting: &mut Vec<Waiting<W>>) -> (Vec<W::Ask>, Vec<Reply<W>>) {
        let (mut asks, mut replies) = (Vec::with_capacity(waiting.len()), Vec::with_capacity(waiting.len()));
        let mut rest = Vec::new();
        for (ask, reply) in waiting.drain(..) {
            if rest.is_empty() && self.work.fits(&asks, &ask) {
                asks.push(ask);
                replies.push(reply);
            } else {
                rest.push((ask, reply));
            }
        }
        *waiting = rest;
        (asks, replies)
    }

    /// `doubt`: an earlier try may have been carried out.
    async fn write(&mut self, asks: Vec<W::Ask>, replies: Vec<Reply<W>>, doubt: bool) {
        let mut doubt = doubt;
        match self.persist(&asks, &mut doubt).await {
            Ok(answers) => {
                self.work.committed(&asks, &answers);
                for (answer, reply) in answers.into_iter().zip(replies) {
                    // The caller may have stopped waiting.
                    let _ = reply.send(Ok(answer));
                }
            }
            // The statement is at fault, so one of the writes is: each on its own shows which.
            Err((error, Cause::Statement)) if asks.len() > 1 => {
                tracing::warn!(error = %error, writes = asks.len(), "a batch was refused; writing its tasks one by one");
                for (ask, reply) in asks.into_iter().zip(replies) {
                    Box::pin(self.write(vec![ask], vec![reply], doubt)).await;
                }
            }
            Err((error, _)) => {
                for reply in replies {
                    let _ = reply.send(Err(error.shared()));
                }
            }
        }
    }

    /// Carries a batch out, over as many connections as it takes, until it is known what became of it.
    /// What was sent over a connection that broke stays in doubt, whatever a later try meets.
    async fn persist(&mut self, asks: &[W::Ask], doubt: &mut bool) -> Result<Vec<W::Answer>, (EngineError, Cause)> {
        let deadline = Instant::now() + if self.away { Duration::ZERO } else { PATIENCE };
        loop {
            let error = match self.attempt(asks, doubt).await {
                Ok(answers) => {
                    self.away = false;
                    return Ok(answers);
                }
                Err(error) => error,
            };
            let cause = cause(&error);
            if cause == Cause::Demoted {
                // Others' connections lead there as well, and would not break by themselves.
                self.sessions.distrust();
            }
            // None of them gets better by waiting.
            let hopeless = matches!(cause, Cause::Statement | Cause::Refused | Cause::Full);
            if hopeless || Instant::now() + PAUSE >= deadline {
                let error = if *doubt {
                    EngineError::new(ErrorKind::Unknown, "the connection to Postgres was lost during a write")
                        .caused_by(error)
                } else {
                    failure::classify(error)
                };
                self.away = !matches!(cause, Cause::Statement | Cause::Contention | Cause::Full);
                return Err((error, cause));
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self, asks: &[W::Ask], sent: &mut bool) -> Result<Vec<W::Answer>, sqlx::Error> {
        let (mut connection, made) = match self.connection.take() {
            Some((connection, made)) if self.sessions.trusts(made) => (connection, made),
            _ => {
                let made = std::time::Instant::now();
                (self.connect().await?, made)
            }
        };
        let again = std::mem::replace(sent, true);
        let done =
            timeout(STATEMENT, self.work.carry_out(&mut connection, asks, again)).await.unwrap_or_else(|_| Err(late()));
        let cause = done.as_ref().err().map(cause);
        if cause.is_some_and(|cause| cause != Cause::Connection) {
            // It was rolled back: the next try is the first.
            *sent = again;
        }
        if cause.is_none_or(|cause| !cause.ends_connection()) {
            self.connection = Some((connection, made));
        }
        done
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let failed = match self.sessions.connect(CONNECT).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let code = failed.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let spare = if code.as_deref() == Some(TOO_MANY) { self.sessions.spare().await } else { None };
        spare.ok_or(failed)
    }
}
