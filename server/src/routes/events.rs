//! `/events` and `/tasks/{id}/events`: watching tasks live.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use card_core::engine::{EventFilter, TaskEvent};
use card_core::ids::{RunId, TaskId};
use card_core::tasks::Status;
use futures::stream;
use tokio::time::Instant;

use super::tasks::find;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::seen::Seen;
use crate::auth::standing::Standing;
use crate::follow::{Follower, Told};
use crate::http::gate::{Admission, OpenStream};
use crate::http::query::Query;
use crate::problem::Refusal;
use crate::sse;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Tasks that one stream may name.
const TASKS: usize = 1000;

/// A task's changes: first its present state (unless the stream is resumed), then each change; ends after the final one.
#[utoipa::path(get, path = "/tasks/{id}/events", tag = "events", security(("user" = []), ("operator" = [])),
    params(
        ("id" = TaskId, Path, description = "The task"),
        ("from" = Option<u64>, Query, description = "Resume after the event with this id", maximum = 9223372036854775807u64),
        ("last-event-id" = Option<u64>, Header, description = "Same as `from`, and wins over it", maximum = 9223372036854775807u64)),
    responses((status = 200, description = "`event: state` with the task as data; `event: reset` if what was asked for is gone", body = String, content_type = "text/event-stream")))]
pub(crate) async fn of_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    admission: Admission,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Refusal> {
    let from = sse::resume_from(&headers, query.with("from", sse::event_seq))?;
    query.finish()?;
    let id = find(&app, caller, &id).await?.id;
    let open = app.gate.open_stream(admission, caller)?;
    let mut follower =
        Follower::subscribe(app.engine.clone(), EventFilter { tasks: vec![id], ..EventFilter::default() });
    let mut first = b": connected\n\n".to_vec();
    let present = match from {
        Some(from) => {
            follower.start_at(from);
            find(&app, caller, &id.to_string()).await?
        }
        None => {
            follower.start_now().await?;
            let present = find(&app, caller, &id.to_string()).await?;
            begin(&app, caller, &mut follower, present, &mut first).await?
        }
    };
    let watched = Some(present.status);
    Ok(sse::response(follow(Reader::new(app, caller, follower, open, first, watched))))
}

/// Writes the state that the stream begins with. What happened since the follower's start is told instead, if anything.
async fn begin(
    app: &App,
    caller: Caller,
    follower: &mut Follower,
    present: Seen,
    first: &mut Vec<u8>,
) -> Result<Seen, Refusal> {
    let told = follower.read(app.gate.page()).await?;
    let is_durable = |told: &Told| matches!(told, Told::State(TaskEvent { seq: Some(_), .. }));
    if !told.iter().any(is_durable) {
        let id = (present.status != Status::Running).then_some(follower.cursor());
        sse::state(first, id, &present);
    }
    let mut latest = present;
    for told in told {
        if let Told::State(event) = told
            // The present state may be the very one that is heard of now.
            && (event.seq.is_some() || event.task.attempts > latest.attempts)
            && let Some(task) = caller.see(event.task, &app.kinds)
        {
            sse::state(first, event.seq, &task);
            latest = task;
        }
    }
    Ok(latest)
}

/// Changes of many tasks: of a run, of a list, of all that the caller may see. From now on, unless resumed.
#[utoipa::path(get, path = "/events", tag = "events", security(("user" = []), ("operator" = [])),
    params(
        ("run" = Option<RunId>, Query, description = "Filter by run"),
        ("task" = Option<Vec<TaskId>>, Query, description = "Filter by task ids, repeated or separated by commas; at most 1000"),
        ("final" = Option<bool>, Query, description = "`true` for final states only"),
        ("from" = Option<u64>, Query, description = "Resume after the event with this id; 0 for the whole log", maximum = 9223372036854775807u64),
        ("last-event-id" = Option<u64>, Header, description = "Same as `from`, and wins over it", maximum = 9223372036854775807u64)),
    responses((status = 200, description = "`event: hello` with `{from}`, then `event: state` with a task as data; `event: reset` if what was asked for is gone", body = String, content_type = "text/event-stream")))]
pub(crate) async fn of_many(
    State(app): State<Arc<App>>,
    caller: Caller,
    admission: Admission,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Refusal> {
    let from = sse::resume_from(&headers, query.with("from", sse::event_seq))?;
    let filter = EventFilter { run: query.get("run"), tasks: query.list("task", TASKS), owner: caller.owner() };
    let only_final = query.get("final").unwrap_or(false);
    query.finish()?;
    let open = app.gate.open_stream(admission, caller)?;
    let mut follower = Follower::subscribe(app.engine.clone(), filter);
    match from {
        Some(from) => follower.start_at(from),
        None => follower.start_now().await?,
    }
    let mut first = b": connected\n\n".to_vec();
    // Not an id: whoever is cut off before the first event can still resume from here.
    sse::position(&mut first, "hello", follower.cursor());
    let reader = Reader { only_final, ..Reader::new(app, caller, follower, open, first, None) };
    Ok(sse::response(follow(reader)))
}

/// One open stream.
struct Reader {
    app: Arc<App>,
    caller: Caller,
    standing: Standing,
    follower: Follower,
    first: Option<Bytes>,
    /// For a stream of one task: where it stands. Final ends the stream.
    watched: Option<Status>,
    /// Other states are left out.
    only_final: bool,
    ended: bool,
    last_sent: Instant,
    _open: OpenStream,
}

impl Reader {
    fn new(
        app: Arc<App>,
        caller: Caller,
        follower: Follower,
        open: OpenStream,
        first: Vec<u8>,
        watched: Option<Status>,
    ) -> Self {
        let (first, last_sent) = (Some(first.into()), Instant::now());
        let standing = Standing::of(Arc::clone(&app), caller);
        Self {
            app,
            caller,
            standing,
            follower,
            first,
            watched,
            only_final: false,
            ended: false,
            last_sent,
            _open: open,
        }
    }

    /// What is sent next; none at the end. A reader that is cut off (the platform stops, the ledger is away) resumes.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while !self.ended {
            self.wait().await?;
            // Held until the page is written: a page is large, and one event can wake every stream there is.
            let page = self.app.pages.acquire().await.ok()?;
            let limit = self.app.gate.page();
            let told =
                self.follower.read(limit).await.inspect_err(|error| tracing::debug!(%error, "a stream ends")).ok()?;
            // A token that ended, or whose session did, is told nothing more.
            if !self.standing.holds().await {
                return None;
            }
            let chunk = Self::write(&self.app, self.caller, &mut self.watched, self.only_final, told);
            drop(page);
            self.ended = self.follower.caught_up() && self.watched.is_some_and(Status::is_final);
            if !chunk.is_empty() {
                self.last_sent = Instant::now();
                return Some(chunk.into());
            }
            if self.last_sent.elapsed() >= KEEP_ALIVE {
                self.last_sent = Instant::now();
                return Some(sse::KEEP_ALIVE);
            }
        }
        None
    }

    async fn wait(&mut self) -> Option<()> {
        // Final already: there is only what was asked for by `from`.
        if self.watched.is_some_and(Status::is_final) {
            return Some(());
        }
        let at_most = KEEP_ALIVE.saturating_sub(self.last_sent.elapsed()).max(Duration::from_millis(10));
        tokio::select! {
            () = self.app.stop.cancelled() => None,
            () = self.standing.lost() => None,
            () = self.follower.wait(at_most) => Some(()),
        }
    }

    fn write(app: &App, caller: Caller, watched: &mut Option<Status>, only_final: bool, told: Vec<Told>) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(told.len() * 512);
        for told in told {
            match told {
                Told::Reset(from) => sse::position(&mut chunk, "reset", from),
                Told::State(event) if only_final && !event.task.status.is_final() => {}
                Told::State(event) => {
                    let Some(task) = caller.see(event.task, &app.kinds) else { continue };
                    sse::state(&mut chunk, event.seq, &task);
                    *watched = watched.map(|_| task.status);
                }
            }
        }
        chunk
    }
}

fn follow(reader: Reader) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok(chunk), reader))
    })
}
