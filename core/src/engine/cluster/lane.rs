//! Group commit: while one batch is on its way to Postgres, the next gathers. One statement, one round trip and one
//! fsync for a batch; when nobody else writes, a batch is one write and nothing waits.
//!
//! A connection that breaks in the middle leaves a batch of which nobody knows whether it was committed. The lane sends
//! it again, marked as such: the ledger then tells what the first try has done. Only when Postgres stays away are the
//! callers told that it is not known.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::failure::{self, Cause, cause};
use crate::engine::{EngineError, ErrorKind};

/// How long a batch is held for a Postgres that is away, before its callers are told. A restart takes about a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// One try to connect.
const CONNECT: Duration = Duration::from_secs(2);
/// One statement. Beyond, the server is taken for gone.
const STATEMENT: Duration = Duration::from_secs(10);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// More writes than this may not wait: the callers of the last ones would give up anyway.
const WAITING_LIMIT: usize = 65_536;

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
    /// Starts a lane on a connection of its own. It ends, after all that waits, when the last caller's end is dropped.
    pub(super) fn start(
        options: PgConnectOptions,
        work: Arc<W>,
        batch_limit: usize,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING_LIMIT);
        let lane = Running { options, work, batch_limit, connection: None, away: false };
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
    options: PgConnectOptions,
    work: Arc<W>,
    batch_limit: usize,
    connection: Option<PgConnection>,
    /// The last batch failed for want of Postgres: the next is tried once, so that its callers hear of it at once.
    away: bool,
}

impl<W: Work> Running<W> {
    async fn run(mut self, mut receiver: mpsc::Receiver<Waiting<W>>) {
        let mut waiting = Vec::with_capacity(self.batch_limit);
        while receiver.recv_many(&mut waiting, self.batch_limit).await > 0 {
            while !waiting.is_empty() {
                let (asks, replies) = self.batch(&mut waiting);
                self.write(asks, replies).await;
            }
            if self.away {
                // Who came meanwhile has waited for the same.
                while let Ok((_, reply)) = receiver.try_recv() {
                    let _ = reply.send(Err(EngineError::new(ErrorKind::Unavailable, "Postgres is away")));
                }
            }
        }
        if let Some(connection) = self.connection {
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

    async fn write(&mut self, asks: Vec<W::Ask>, replies: Vec<Reply<W>>) {
        match self.persist(&asks).await {
            Ok(answers) => {
                self.work.committed(&asks, &answers);
                for (answer, reply) in answers.into_iter().zip(replies) {
                    // The caller may have stopped waiting.
                    let _ = reply.send(Ok(answer));
                }
            }
            // The statement is at fault, so one of the writes is: each on its own shows which.
            Err((error, Cause::Statement)) if asks.len() > 1 => {
                tracing::warn!(error = %error, writes = asks.len(), "a batch was refused, writing one by one");
                for (ask, reply) in asks.into_iter().zip(replies) {
                    Box::pin(self.write(vec![ask], vec![reply])).await;
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
    async fn persist(&mut self, asks: &[W::Ask]) -> Result<Vec<W::Answer>, (EngineError, Cause)> {
        let deadline = Instant::now() + if self.away { Duration::ZERO } else { PATIENCE };
        let mut sent = false;
        loop {
            let error = match self.attempt(asks, &mut sent).await {
                Ok(answers) => {
                    self.away = false;
                    return Ok(answers);
                }
                Err(error) => error,
            };
            let cause = cause(&error);
            if cause == Cause::Connection {
                self.connection = None;
            }
            if cause == Cause::Statement || Instant::now() + PAUSE >= deadline {
                // What was sent over a connection that broke may have been committed, whatever the last try met.
                let error = if sent && cause != Cause::Statement {
                    EngineError::new(ErrorKind::Unknown, "Postgres went away during a write").caused_by(error)
                } else {
                    failure::classify(error)
                };
                self.away = matches!(cause, Cause::Connection | Cause::Server);
                return Err((error, cause));
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self, asks: &[W::Ask], sent: &mut bool) -> Result<Vec<W::Answer>, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                timeout(CONNECT, PgConnection::connect_with(&self.options)).await.unwrap_or_else(|_| Err(late()))?
            }
        };
        let again = std::mem::replace(sent, true);
        let done =
            timeout(STATEMENT, self.work.carry_out(&mut connection, asks, again)).await.unwrap_or_else(|_| Err(late()));
        match &done {
            Err(error) if cause(error) == Cause::Connection => {}
            // It was rolled back: the next try is the first.
            Err(_) => {
                *sent = again;
                self.connection = Some(connection);
            }
            Ok(_) => self.connection = Some(connection),
        }
        done
    }
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "Postgres did not answer in time"))
}
