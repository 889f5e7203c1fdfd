//! Hearing of what other processes did: messages through Redis, and a look at the ledger each second for those that
//! were lost. Messages are hints; nothing here decides anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use redis::Msg;
use tokio::time::{sleep, timeout};

use super::messages;
use super::reads::read;
use super::shared::Shared;
use crate::engine::{EngineError, ErrorKind};
use crate::telemetry::metrics::REDIS_EVICTS;
use crate::time::Instant;

/// How often the ledger is looked at, whatever the messages say.
const LOOK: Duration = Duration::from_secs(1);
/// How often Redis is asked for its policy.
const POLICY: Duration = Duration::from_secs(30);
/// Between tries to listen.
const PAUSE: Duration = Duration::from_millis(250);
/// A connection on which nothing was heard for so long is asked whether it lives.
const QUIET: Duration = Duration::from_secs(5);

/// Listens until the engine stops.
pub(super) async fn listen(shared: Arc<Shared>) {
    let mut turn = 0;
    while !shared.stop.is_cancelled() {
        let _ = shared.stop.run_until_cancelled(listen_once(&shared, turn)).await;
        turn += 1;
        shared.listens.store(false, Ordering::Release);
        shared.look.notify_one();
        // Claimers can't be told any more.
        shared.delivery.hint_all();
        let _ = shared.stop.run_until_cancelled(sleep(PAUSE)).await;
    }
}

async fn listen_once(shared: &Shared, turn: usize) -> redis::RedisResult<()> {
    let keys = &shared.delivery.keys;
    let (mut sink, mut stream) = shared.delivery.link.messages(turn).await?.split();
    for channel in [&keys.offered, &keys.logged, &keys.running, &keys.note] {
        timeout(QUIET, sink.subscribe(channel)).await.map_err(std::io::Error::from)??;
    }
    // What was published before was not heard.
    shared.listens.store(true, Ordering::Release);
    shared.delivery.hint_all();
    shared.hub.announce_all();
    loop {
        match timeout(QUIET, stream.next()).await {
            Ok(Some(message)) => hear(shared, &message),
            Ok(None) => return Ok(()),
            // A connection that was cut without a word would be silent for ever.
            Err(_) => timeout(QUIET, sink.ping::<()>()).await.map_err(std::io::Error::from)??,
        }
    }
}

fn hear(shared: &Shared, message: &Msg) {
    let (keys, channel, bytes) = (&shared.delivery.keys, message.get_channel_name(), message.get_payload_bytes());
    if channel == keys.offered {
        match std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()) {
            Some(place) => shared.delivery.hint(place),
            None => shared.delivery.hint_all(),
        }
    } else if channel == keys.logged {
        if shared.hub.is_idle() {
            return;
        }
        let Some(logged) = messages::read_logged(bytes) else { return };
        if logged.origin == shared.origin {
            return;
        }
        match logged.changes {
            Some(changes) => changes.iter().for_each(|change| shared.hub.announce(change)),
            None => shared.hub.announce_all(),
        }
        shared.told.fetch_max(logged.last, Ordering::AcqRel);
    } else if channel == keys.running {
        if shared.hub.is_idle() {
            return;
        }
        if let Some((origin, started_at, tasks)) = messages::read_running(bytes, &shared.kinds)
            && origin != shared.origin
        {
            for task in tasks {
                shared.hub.announce_transient(&Arc::new(task.identity.running(task.attempts + 1, started_at)));
            }
        }
    } else if channel == keys.note {
        shared.look.notify_one();
        shared.revoked.look();
    }
}

/// Looks at the ledger until the engine stops.
pub(super) async fn look(shared: Arc<Shared>) {
    let mut seen = Seen::default();
    loop {
        match shared.stop.run_until_cancelled(look_once(&shared, &mut seen)).await {
            None => return,
            Some(Ok(())) => {
                if shared.ledger_away.swap(false, Ordering::AcqRel) {
                    tracing::info!("Postgres is back");
                }
            }
            Some(Err(error)) => {
                if !shared.ledger_away.swap(true, Ordering::AcqRel) {
                    let reason = shared.sessions.refusal();
                    let reason = reason.as_deref().unwrap_or_default();
                    tracing::error!(error = %error.shared(), reason, fix = error.fix(), "Postgres is unreachable; requests are refused until it is back");
                }
            }
        }
        // The only way to hear of anything, while there are no messages.
        let pause = if shared.listens.load(Ordering::Acquire) { LOOK } else { PAUSE };
        let pause = timeout(pause, shared.look.notified());
        if shared.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Looks now and then whether Redis removes keys when it is full, until the engine stops.
pub(super) async fn policy(shared: Arc<Shared>) {
    let mut before = None;
    loop {
        let Some(evicts) = shared.stop.run_until_cancelled(shared.delivery.evicts()).await else { return };
        metrics::gauge!(REDIS_EVICTS).set(f64::from(u8::from(evicts.is_some())));
        if evicts != before
            && let Some(policy) = &evicts
        {
            tracing::warn!(
                maxmemory_policy = policy,
                "Redis evicts keys when it is full: the sweep then finds their tasks, late; fix: maxmemory-policy noeviction"
            );
        }
        before = evicts;
        if shared.stop.run_until_cancelled(sleep(POLICY)).await.is_none() {
            return;
        }
    }
}

/// What the looks so far have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The latest place in the log.
    last: i64,
}

/// Takes in the latest state; called once before the engine is handed out, too.
pub(super) async fn look_once(shared: &Shared, seen: &mut Seen) -> Result<(), EngineError> {
    let mut before = Instant::now();
    // One broken connection is no Postgres that is away.
    let books = read(|| {
        before = Instant::now();
        sqlx::query!(
            r#"SELECT last_seq, paused, ledger_now() AS "now!",
                      pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS "demoted!",
                      (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS "server!"
               FROM books ORDER BY page DESC LIMIT 1"#
        )
        .fetch_one(&shared.pool)
    })
    .await?;
    if books.demoted {
        // It answers, and is not the primary any more: what it says gets older and older.
        shared.sessions.distrust();
        return Err(EngineError::new(ErrorKind::Unavailable, "this Postgres takes no writes any more"));
    }
    shared.clock.compare(before, Instant::from_micros(books.now), Instant::now());
    shared.delivery.set_paused(books.paused);
    shared.delivery.server.store(books.server, Ordering::Release);
    // A place that nobody told us of: its message was lost, or is on its way. While we don't listen, places before one
    // of our own may be such as well.
    let untold = shared.told.fetch_max(books.last_seq, Ordering::AcqRel) < books.last_seq;
    let news = std::mem::replace(&mut seen.last, books.last_seq) < books.last_seq;
    if untold || (news && !shared.listens.load(Ordering::Acquire)) {
        shared.hub.announce_all();
    }
    Ok(())
}
