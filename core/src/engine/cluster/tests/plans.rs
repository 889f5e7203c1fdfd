//! How Postgres carries our statements out: by an index, whatever its statistics say.

use uuid::Uuid;

use super::accept::Accept;
use super::lane::Work;
use super::settle::EndAttempt;
use super::*;
use crate::engine::LeaseRow;
use crate::engine::conformance::{REPLACEMENT, add, add_in, card, failed};
use crate::engine::rows::HistoryPlace;
use crate::ids::UserId;
use crate::tasks::{History, TaskFilter};

/// Open tasks while the plans are made, and then beside them.
const FEW: i64 = 2_000;
const MANY: i64 = 200_000;

/// Who has half of all effects.
const OWNER: Uuid = Uuid::from_u128(1);

/// Reads of `tasks`, `events` and `effects` since the database was made.
#[derive(Debug, Clone, Copy)]
struct Reads {
    sequential: i64,
    entries: i64,
}

/// On one connection, so that what it has read is known when asked for; no engine beside it.
async fn alone(database: &Database) -> Arc<Shared> {
    migrate(database.url()).await.unwrap();
    let sessions = Sessions::new(database.url()).unwrap();
    let pool = sessions.pool_of(1);
    let link = Link::new(database.redis(), database.prefix()).unwrap();
    let delivery = Arc::new(Delivery::new(link, database.prefix(), 100_000));
    let (notifier, _) = Notifier::start(&delivery);
    let shared = Arc::new(Shared {
        pool,
        sessions,
        delivery,
        kinds: Kinds::default(),
        notifier,
        hub: Arc::default(),
        clock: clock::Clock::default(),
        origin: 1,
        told: 0.into(),
        listens: false.into(),
        look: tokio::sync::Notify::new(),
        revoked: super::revoked::Revoked::default(),
        aside: tokio::sync::Mutex::default(),
        ledger: uuid::Uuid::nil(),
        ledger_away: false.into(),
        stop: CancellationToken::new(),
    });
    crate::engine::cluster::kinds::learn_all(&shared).await.unwrap();
    shared
}

/// Nobody makes statistics: neither would autovacuum within the first minute.
async fn without_statistics(shared: &Shared) {
    for statement in [
        "DO $$ DECLARE day regclass; BEGIN
             FOR day IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
                 EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', day);
             END LOOP;
         END $$",
        "ALTER TABLE tasks SET (autovacuum_enabled = off)",
        "ALTER TABLE effects SET (autovacuum_enabled = off)",
    ] {
        sqlx::query(statement).execute(&shared.pool).await.unwrap();
    }
}

/// Fills in tasks that were accepted long enough ago for the sweep, numbered from a number on.
async fn fill(shared: &Shared, from: i64, count: i64) {
    let pool = &shared.pool;
    let last: i64 = sqlx::query_scalar("SELECT max(last_seq) FROM books").fetch_one(pool).await.unwrap();
    let tasks = sqlx::query(
        "INSERT INTO tasks (id, seq, kind, status, attempts, postponed, owner, payload, accepted_at, due_at)
         SELECT ('00000000-0000-7000-8000-' || lpad(to_hex($1 + n), 12, '0'))::uuid, $2 + 1 + n, n % 2, 2, 0,
                n % 100 = 0, gen_random_uuid(), '{}', ledger_now() - 60000000, ledger_now() - 60000000 + n
         FROM generate_series(0, $3 - 1) n",
    );
    tasks.bind(from).bind(last).bind(count).execute(pool).await.unwrap();
    let events = sqlx::query(
        "INSERT INTO events (seq, at, task, kind, owner, accepted_at, accepted_seq, status, attempts)
         SELECT seq, accepted_at, id, kind, owner, accepted_at, seq, 2, 0 FROM tasks WHERE seq > $1",
    );
    events.bind(last).execute(pool).await.unwrap();
    // Half of them are one owner's.
    let effects = sqlx::query(
        "INSERT INTO effects (task, id, kind, owner, data, active, at, seq)
         SELECT gen_random_uuid(), gen_random_uuid(), 0, CASE WHEN n % 2 = 0 THEN $1 ELSE gen_random_uuid() END,
                '{\"amount\":1}', true, ledger_now() - 60000000 + n, $2 + 1 + n
         FROM generate_series(0, $3 - 1) n",
    );
    effects.bind(OWNER).bind(last).bind(count).execute(pool).await.unwrap();
    let books = sqlx::query(
        "INSERT INTO books SELECT page + 1, at, last_seq + $1, accepted + $1, settled, dead,
                                  ARRAY[open[1] + $1 / 2, open[2] + $1 / 2], events_floor, paused
         FROM books ORDER BY page DESC LIMIT 1",
    );
    books.bind(count).execute(pool).await.unwrap();
}

async fn reads(shared: &Shared) -> Reads {
    // Two statements: the first hands in what this session has counted.
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(&shared.pool).await.unwrap();
    let (sequential, entries): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(pg_stat_get_numscans(oid)) FILTER (WHERE relkind = 'r'), 0)::bigint,
                coalesce(sum(pg_stat_get_tuples_returned(oid)), 0)::bigint
         FROM pg_class WHERE relname ~ '^(tasks|events|effects)'",
    )
    .fetch_one(&shared.pool)
    .await
    .unwrap();
    Reads { sequential, entries }
}

/// Does a thing as often as it takes until Postgres keeps a plan for all parameters, and looks at the reads of each.
async fn reads_little(shared: &Shared, what: &str, most: i64, mut act: impl AsyncFnMut()) {
    for time in 1..=8 {
        let before = reads(shared).await;
        act().await;
        let after = reads(shared).await;
        assert_eq!(after.sequential, before.sequential, "{what} scanned a table, time {time}");
        let entries = after.entries - before.entries;
        assert!(entries <= most, "{what} read {entries} entries, time {time}; {most} at most");
    }
}

fn ends(from: i64, count: i64, end: impl Fn() -> End) -> Vec<EndAttempt> {
    let lease = |row: i64| Lease {
        task: TaskId::from_uuid(Uuid::from_u128(0x7000_8000_0000_0000_0000 | u128::try_from(row).unwrap())),
        row: LeaseRow::default(),
        token: 0,
        worker: WorkerId::new(),
    };
    (from..from + count).map(|row| EndAttempt { lease: lease(row), started_at: Instant::now(), end: end() }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_whole_table_whose_statistics_nobody_has_made() {
    let database = Database::create();
    let shared = &alone(&database).await;
    without_statistics(shared).await;
    // A plan that was made for few rows is kept, and must do for many.
    let mut sweep = sweep::Sweep::default();
    for (from, count) in [(1, FEW), (1 + FEW, MANY)] {
        fill(shared, from, count).await;
        look_at_all(shared, &mut sweep, from).await;
    }
}

/// Every statement that callers or the sweep wait for. The tasks from a number on are open.
async fn look_at_all(shared: &Arc<Shared>, sweep: &mut sweep::Sweep, from: i64) {
    let (accepting, ending) = (accept::Accepting(Arc::clone(shared)), settle::Ending(Arc::clone(shared)));
    let mut row = from;
    for again in [false, true] {
        reads_little(shared, "an accept of a hundred", 2_000, async || {
            let batch: Vec<_> = (0..100).map(|_| Accept { new: add_in(&RunId::new()), kind: KINDS[1] }).collect();
            let mut connection = shared.pool.acquire().await.unwrap();
            accepting.carry_out(&mut connection, &batch, again).await.unwrap();
            // And the same once more, which is refused: every reason is looked for.
            accepting.carry_out(&mut connection, &batch, again).await.unwrap();
        })
        .await;
        reads_little(shared, "a settle of a hundred", 2_000, async || {
            let batch = ends(row, 100, || End::Settle(done()));
            row += 100;
            let mut connection = shared.pool.acquire().await.unwrap();
            let ended = ending.carry_out(&mut connection, &batch, again).await.unwrap();
            assert!(ended.iter().all(|ended| ended.settled == Settled::Applied));
            let ended = ending.carry_out(&mut connection, &batch, false).await.unwrap();
            assert!(ended.iter().all(|ended| ended.settled == Settled::AlreadyFinal));
        })
        .await;
        reads_little(shared, "a settle of ten with effects", 3_000, async || {
            let batch = ends(row, 10, || End::Settle(card("1")));
            row += 10;
            let mut connection = shared.pool.acquire().await.unwrap();
            let ended = ending.carry_out(&mut connection, &batch, again).await.unwrap();
            assert!(ended.iter().all(|ended| ended.settled == Settled::Applied));
        })
        .await;
        reads_little(shared, "a retry and a give-up", 200, async || {
            let mut batch = ends(row, 5, || End::RetryAt { due: Instant::now(), error: failed(), counts: true });
            batch.extend(ends(row + 5, 5, || End::GiveUp(failed())));
            row += 10;
            let mut connection = shared.pool.acquire().await.unwrap();
            let ended = ending.carry_out(&mut connection, &batch, again).await.unwrap();
            assert!(ended.iter().all(|ended| ended.settled == Settled::Applied));
        })
        .await;
    }

    // What is put off, in one go; then stretch by stretch.
    sweep.round(shared).await.unwrap();
    reads_little(shared, "a round of the sweep", 12_000, async || {
        sweep.round(shared).await.unwrap();
    })
    .await;
    reads_little(shared, "stats", 2_000, async || {
        operate::stats(shared).await.unwrap();
    })
    .await;
    reads_little(shared, "a task", 20, async || {
        super::reads::get(shared, ends(from, 1, || End::GiveUp(failed()))[0].lease.task).await.unwrap().unwrap();
    })
    .await;
    reads_little(shared, "dead letters", 1_000, async || {
        let dead = TaskFilter { status: Some(Status::Dead), ..TaskFilter::default() };
        super::reads::list(shared, &dead, i64::MAX, 100).await.unwrap();
    })
    .await;
    reads_little(shared, "the newest tasks", 6_000, async || {
        super::reads::list(shared, &TaskFilter::default(), i64::MAX, 100).await.unwrap();
    })
    .await;
    let owner = UserId::from_uuid(OWNER);
    let history = History { owner, kind: REPLACEMENT, from: None, to: None };
    reads_little(shared, "the version of a history", 20, async || {
        histories::version(shared, owner, REPLACEMENT).await.unwrap();
    })
    .await;
    let now = Instant::now().micros();
    for at in [i64::MAX, now - 60_000_000] {
        reads_little(shared, "a page of a history", 500, async || {
            histories::page(shared, &history, HistoryPlace { at, seq: 0 }, 50).await.unwrap();
        })
        .await;
    }
    reads_little(shared, "what a history comes to", 2 * (FEW + MANY), async || {
        histories::summary(shared, &history).await.unwrap();
    })
    .await;
    reads_little(shared, "whose effects have changed", 1_000, async || {
        let last = super::operate::last_event(&shared.pool).await.unwrap();
        log::effects_after(shared, last.saturating_sub(100), 1_000).await.unwrap();
    })
    .await;
    let one_run = EventFilter { run: Some(RunId::new()), ..EventFilter::default() };
    let one_task = EventFilter { tasks: vec![add().id], ..EventFilter::default() };
    let one_owner = EventFilter { owner: Some(UserId::new()), ..EventFilter::default() };
    for filter in [EventFilter::default(), one_run, one_task, one_owner] {
        reads_little(shared, &format!("a page of the log, {filter:?}"), 1_000, async || {
            log::events_after(shared, &filter, u64::try_from(from).unwrap(), 100).await.unwrap();
        })
        .await;
    }
}
