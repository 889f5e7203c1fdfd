//! Follows the event stream and misses nothing (P6): reconnects with back-off and jitter, asks to go on where it was by
//! `?from=` and `Last-Event-ID` (which gateways are known to drop), sees by the first frame whether it does, drops what it
//! has seen, notices a connection that died quietly, and says when the past is gone.

mod frames;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::EventSeq;
use card_core::ids::{RunId, TaskId};
use card_core::retry::RetryPolicy;
use card_core::tasks::Task;
use futures::{Stream, StreamExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::frames::{Broken, Frame, frames};
use crate::{Caller, Client, ClientError, Token};

/// Opening a stream takes no longer than this.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// A server that asks for a longer wait is asked again all the same.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(30);
/// The server says its first word at once, so something between holds it back.
const BUFFERED: &str = "the stream did not open in time; a proxy that buffers answers holds streams back: turn that off for text/event-stream";
/// A connection that lived so long was a good one, even if nothing happened on it.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// What is followed.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Every task.
    All,
    /// The tasks of a run.
    Run(RunId),
    /// The final states of the tasks of a run.
    Ends(RunId),
    /// These tasks.
    Tasks(Vec<TaskId>),
}

/// Who follows.
#[derive(Clone)]
pub enum Follower {
    /// The operator: anyone's tasks.
    Operator,
    /// A user: its own.
    User(Token),
}

/// Something new on the stream.
#[derive(Debug)]
pub enum Notice {
    /// A task's state.
    State {
        /// The task as it was right after the change.
        task: Box<Task>,
        /// Its place in the log; none for what is not durable (`running`).
        seq: Option<EventSeq>,
    },
    /// Events between the last one and the next are gone from the log: read the present state.
    Gap,
    /// The connection was lost and is back; nothing was missed unless a [`Notice::Gap`] says so.
    Reconnected,
}

/// The stream could not be kept up for longer than the follower's patience, or is refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the event stream is lost after {attempts} attempts: {detail}")]
pub struct StreamLost {
    /// Attempts since it last worked.
    pub attempts: u32,
    /// Why the last one failed.
    pub detail: String,
    /// What the API answered, if that was the reason.
    pub refusal: Option<ClientError>,
    /// The last durable event that was handed out: where to go on.
    pub cursor: Option<EventSeq>,
}

/// Cuts a follower's connection on purpose, to prove that nothing is missed.
#[derive(Clone)]
pub struct Scissors(Arc<Notify>);

impl Scissors {
    /// Drops the present connection without a word to the server.
    pub fn cut(&self) {
        self.0.notify_one();
    }
}

type Frames = Pin<Box<dyn Stream<Item = Result<Frame, Broken>> + Send>>;

/// A follower of the event stream.
pub struct Events {
    client: Client,
    scope: Scope,
    follower: Follower,
    cursor: Option<EventSeq>,
    connection: Option<(Frames, Instant)>,
    backoff: RetryPolicy,
    patience: Duration,
    attempts: u32,
    lost_since: Option<Instant>,
    /// Whether the present connection began after where it was asked to: what lies between was not told.
    elsewhere: bool,
    reconnects: u64,
    cut: Arc<Notify>,
}

impl Events {
    /// Opens the stream, after event `from` (0: from the beginning of the log; none: from now on). When this returns,
    /// no later change can be missed.
    ///
    /// # Errors
    /// [`StreamLost`] at once if it is refused, or when `patience` is over.
    pub async fn open(
        client: &Client,
        scope: Scope,
        follower: Follower,
        from: Option<EventSeq>,
        patience: Duration,
    ) -> Result<Self, StreamLost> {
        let mut events = Self {
            client: client.clone(),
            scope,
            follower,
            cursor: from,
            connection: None,
            backoff: RetryPolicy {
                max_attempts: u32::MAX,
                base: Duration::from_millis(100),
                cap: Duration::from_secs(5),
            },
            patience,
            attempts: 0,
            lost_since: None,
            elsewhere: false,
            reconnects: 0,
            cut: Arc::new(Notify::new()),
        };
        events.connect().await?;
        Ok(events)
    }

    /// The next thing that is new. Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`StreamLost`] if the stream was away for longer than the follower's patience, or is refused now.
    pub async fn next(&mut self) -> Result<Notice, StreamLost> {
        loop {
            if self.connection.is_some() && std::mem::take(&mut self.elsewhere) {
                return Ok(Notice::Gap);
            }
            let Some((frames, since)) = &mut self.connection else {
                self.connect().await?;
                self.reconnects += 1;
                return Ok(Notice::Reconnected);
            };
            let since = *since;
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = self.cut.notified() => Some(Err(Broken::Cut("on purpose".to_owned()))),
            };
            let lived = since.elapsed() >= GOOD_LIFE;
            match frame {
                Some(Ok(frame)) => {
                    let notice = self.take(frame);
                    if notice.is_some() || lived {
                        self.worked();
                    }
                    if let Some(notice) = notice {
                        return Ok(notice);
                    }
                }
                Some(Err(broken)) => {
                    // One that began where it should and was cut has missed nothing, however short connections live.
                    if !matches!(broken, Broken::Foreign(_)) {
                        self.lost_since = None;
                    }
                    self.failed(lived, &broken.to_string())?;
                }
                None => {
                    self.lost_since = None;
                    self.failed(lived, "the server ended it")?;
                }
            }
        }
    }

    /// The last durable event that was handed out: where another follower can go on.
    #[must_use]
    pub fn cursor(&self) -> Option<EventSeq> {
        self.cursor
    }

    /// How often the connection was lost and came back.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// What cuts this stream's connection on purpose.
    #[must_use]
    pub fn scissors(&self) -> Scissors {
        Scissors(Arc::clone(&self.cut))
    }

    /// What is new about a frame; none if it was seen before or means nothing to this version.
    fn take(&mut self, frame: Frame) -> Option<Notice> {
        match frame {
            Frame::State { task, id: None } => Some(Notice::State { task, seq: None }),
            Frame::State { task, id: Some(id) } => {
                if self.cursor.is_none_or(|cursor| id > cursor) {
                    self.cursor = Some(id);
                    Some(Notice::State { task, seq: Some(id) })
                } else {
                    // By the rules of event streams an event without an id of its own carries that of the one before.
                    // What is final or waits is always durable, so with an old id it is a repetition.
                    (task.status == card_core::tasks::Status::Running).then_some(Notice::State { task, seq: None })
                }
            }
            // It comes first, see `begin`; a later one says nothing new.
            Frame::Hello { .. } => None,
            Frame::Reset { from } => {
                self.cursor = Some(from);
                Some(Notice::Gap)
            }
            Frame::Other => None,
        }
    }

    fn worked(&mut self) {
        self.attempts = 0;
        self.lost_since = None;
    }

    fn failed(&mut self, lived: bool, detail: &str) -> Result<(), StreamLost> {
        self.connection = None;
        if lived {
            self.worked();
        }
        let lost_since = *self.lost_since.get_or_insert_with(Instant::now);
        self.attempts = self.attempts.saturating_add(1);
        tracing::debug!(attempt = self.attempts, detail, "the event stream broke off");
        if lost_since.elapsed() >= self.patience {
            return Err(self.lost(detail.to_owned(), None));
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), StreamLost> {
        loop {
            if self.attempts > 0 {
                let wait = self.backoff.wait_after(self.attempts, rand::random());
                tokio::time::sleep(wait.unwrap_or(self.backoff.cap)).await;
            }
            match self.attempt().await {
                Ok(frames) => {
                    self.connection = Some((frames, Instant::now()));
                    return Ok(());
                }
                Err(error) if error.is_retryable() || error.is_unknown() => {
                    if let Err(lost) = self.failed(false, &error.to_string()) {
                        // Whose fault it is decides what is said of it: this machine's, or a gateway's.
                        let refusal = Some(error).filter(|error| error.local().is_some() || error.is_foreign());
                        return Err(StreamLost { refusal, ..lost });
                    }
                    if let Some(wait) = error.retry_after() {
                        tokio::time::sleep(wait.min(RETRY_AFTER_LIMIT).min(self.patience)).await;
                    }
                }
                Err(error) => return Err(self.lost(error.to_string(), Some(error))),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Frames, ClientError> {
        let caller = match &self.follower {
            Follower::Operator => Caller::Operator,
            Follower::User(token) => Caller::User(token),
        };
        let mut query: Vec<(&str, String)> = match &self.scope {
            Scope::All => Vec::new(),
            Scope::Run(run) => vec![("run", run.to_string())],
            Scope::Ends(run) => vec![("run", run.to_string()), ("final", "true".to_owned())],
            Scope::Tasks(tasks) => tasks.iter().map(|task| ("task", task.to_string())).collect(),
        };
        // A query goes wherever its path goes; a header may be dropped on the way.
        query.extend(self.cursor.map(|cursor| ("from", cursor.to_string())));
        let request = self.client.stream("/api/v1/events", caller)?.query(&query);
        let request = match self.cursor {
            Some(cursor) => request.header("last-event-id", cursor.to_string()),
            None => request,
        };
        let opening = self.client.open(request);
        let response = match tokio::time::timeout(OPEN_LIMIT, opening).await {
            Ok(response) => response?,
            Err(_) => {
                let url = self.client.url().to_owned();
                return Err(ClientError::NoAnswer { url, detail: BUFFERED.to_owned() });
            }
        };
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(self.client.protocol("/events is not an event stream"));
        }
        let mut frames: Frames = Box::pin(frames(response.bytes_stream()));
        match tokio::time::timeout(OPEN_LIMIT, frames.next()).await {
            Ok(first) => self.begin(first)?,
            Err(_) => {
                let (url, detail) = (
                    self.client.url().to_owned(),
                    "the stream opened and nothing came on it: a proxy \
                    between here and there may be holding it back"
                        .to_owned(),
                );
                return Err(ClientError::NoAnswer { url, detail });
            }
        }
        Ok(frames)
    }

    /// Looks at what a connection says first: its place. Without it, a cut before the first event would be a gap that
    /// nobody notices; and one that begins elsewhere has a gap already.
    fn begin(&mut self, first: Option<Result<Frame, Broken>>) -> Result<(), ClientError> {
        let from = match first {
            Some(Ok(Frame::Hello { from })) => from,
            Some(Err(broken)) => return Err(self.client.protocol(broken.to_string())),
            _ => return Err(self.client.protocol("/events does not begin with its place")),
        };
        // From before is no gap: what was seen is dropped.
        let missed = self.cursor.is_some_and(|cursor| from > cursor);
        self.elsewhere |= missed;
        if missed || self.cursor.is_none() {
            self.cursor = Some(from);
        }
        Ok(())
    }

    fn lost(&self, detail: String, refusal: Option<ClientError>) -> StreamLost {
        StreamLost { attempts: self.attempts, detail, refusal, cursor: self.cursor }
    }
}
