//! From bytes to events: the parser's guards. The parser itself is `eventsource-stream`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use card_core::engine::EventSeq;
use card_core::tasks::Task;
use eventsource_stream::{EventStreamError, Eventsource};
use futures::{Stream, StreamExt};
use serde::Deserialize;

/// The server sends something (an event or a comment) every 15 s: two and a half times that is a dead connection.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(40);
/// An event is a task: far below this. A stream that sends more without ending an event is not ours.
const EVENT_LIMIT: usize = 1024 * 1024;

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("no data for {} s", SILENCE_LIMIT.as_secs())]
    Silent,
    #[error("it was cut: {0}")]
    Cut(String),
    #[error("unexpected data: {0}")]
    Foreign(String),
}

/// What a connection says.
#[derive(Debug)]
pub(super) enum Frame {
    /// A state, and where it stands in the log if it is durable.
    State { task: Box<Task>, id: Option<EventSeq> },
    /// At the beginning: everything after this place is told.
    Hello { from: EventSeq },
    /// Events are gone from the log; everything after this place is told.
    Reset { from: EventSeq },
    /// Something that a later version may send.
    Other,
}

/// The frames of a stream of bytes. Ends after the first error.
pub(super) fn frames<B, E>(
    bytes: impl Stream<Item = Result<B, E>> + Send + 'static,
) -> impl Stream<Item = Result<Frame, Broken>> + Send
where
    B: AsRef<[u8]> + Send + 'static,
    E: std::error::Error + Send + 'static,
{
    let unfinished = Arc::new(AtomicUsize::new(0));
    let finished = Arc::clone(&unfinished);
    guarded(bytes, unfinished).flat_map(|chunk| futures::stream::iter(by_event(chunk))).eventsource().map(
        move |event| {
            finished.store(0, Ordering::Relaxed);
            match event {
                Ok(event) => frame(&event),
                Err(EventStreamError::Transport(broken)) => Err(broken),
                Err(EventStreamError::Utf8(_)) => Err(Broken::Foreign("text that is not UTF-8".to_owned())),
                Err(EventStreamError::Parser(_)) => Err(Broken::Foreign("text that is not an event stream".to_owned())),
            }
        },
    )
}

/// The bytes, as long as they keep coming and events keep ending.
fn guarded<B, E>(
    bytes: impl Stream<Item = Result<B, E>> + Send + 'static,
    unfinished: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<B, Broken>> + Send
where
    B: AsRef<[u8]> + Send + 'static,
    E: std::error::Error + Send + 'static,
{
    futures::stream::unfold((Box::pin(bytes), unfinished), |(mut bytes, unfinished)| async move {
        let item = match tokio::time::timeout(SILENCE_LIMIT, bytes.next()).await {
            Err(_) => Err(Broken::Silent),
            Ok(None) => return None,
            Ok(Some(Err(error))) => Err(Broken::Cut(innermost(&error))),
            Ok(Some(Ok(chunk))) => {
                let length = chunk.as_ref().len();
                // Comments keep a quiet stream alive and end no event: a chunk that small can't fill a memory.
                let total =
                    unfinished.fetch_add(if is_comment(chunk.as_ref()) { 0 } else { length }, Ordering::Relaxed);
                if total + length > EVENT_LIMIT {
                    Err(Broken::Foreign("an event without an end".to_owned()))
                } else {
                    Ok(chunk)
                }
            }
        };
        Some((item, (bytes, unfinished)))
    })
}

/// A chunk cut where events end. The parser copies what follows an event once for each event: with many in a chunk
/// that would be most of what a stream costs.
fn by_event<B: AsRef<[u8]>>(chunk: Result<B, Broken>) -> Vec<Result<Vec<u8>, Broken>> {
    let chunk = match chunk {
        Ok(chunk) => chunk,
        Err(broken) => return vec![Err(broken)],
    };
    let mut rest = chunk.as_ref();
    let mut parts = Vec::new();
    while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
        let (event, after) = rest.split_at(end + 2);
        parts.push(Ok(event.to_vec()));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Ok(rest.to_vec()));
    }
    parts
}

fn is_comment(chunk: &[u8]) -> bool {
    chunk.starts_with(b":") && chunk.len() < 64 && chunk.ends_with(b"\n")
}

fn frame(event: &eventsource_stream::Event) -> Result<Frame, Broken> {
    // The id of the last event that had one stays: what that means is for the follower to tell.
    let id = match event.id.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|_| Broken::Foreign("an event id that is not a number".to_owned()))?),
    };
    match event.event.as_str() {
        "state" => {
            let task = serde_json::from_str(&event.data)
                .map_err(|error| Broken::Foreign(format!("a state that is not a task: {error}")))?;
            Ok(Frame::State { task, id })
        }
        "hello" => Ok(Frame::Hello { from: position(&event.data)? }),
        "reset" => Ok(Frame::Reset { from: position(&event.data)? }),
        _ => Ok(Frame::Other),
    }
}

#[derive(Deserialize)]
struct Position {
    from: EventSeq,
}

fn position(data: &str) -> Result<EventSeq, Broken> {
    serde_json::from_str::<Position>(data)
        .map(|position| position.from)
        .map_err(|error| Broken::Foreign(format!("a position that can't be read: {error}")))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
