//! The conformance suite on SQLite, and what only a file can do wrong.

use std::path::PathBuf;

use super::*;
use crate::engine::conformance::{ADD, KINDS, Testbed, all_kinds, engine_conformance};
use crate::tasks::TaskError;

struct Bed {
    store: Store,
    engine: Arc<SqliteEngine>,
    path: PathBuf,
    _dir: Arc<tempfile::TempDir>,
}

async fn start(path: PathBuf, dir: Arc<tempfile::TempDir>) -> Bed {
    let engine = Arc::new(open_engine(&path, &settings::Settings::default().ledger, &KINDS).await.unwrap());
    let store = Store { engine: Arc::<SqliteEngine>::clone(&engine), accounts: Arc::<SqliteEngine>::clone(&engine) };
    Bed { store, engine, path, _dir: dir }
}

impl Testbed for Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path().join("ledger.db"), Arc::new(dir)).await
    }

    fn store(&self) -> &Store {
        &self.store
    }

    async fn restart(self) -> Self {
        self.engine.close().await;
        start(self.path.clone(), Arc::clone(&self._dir)).await
    }

    async fn forget(&self) {
        self.engine.shared.delivery.forget();
    }
}

engine_conformance!(Bed);

fn add() -> NewTask {
    NewTask {
        id: TaskId::new(),
        kind: ADD,
        owner: None,
        run: None,
        payload: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        exclusive: None,
        idempotency: None,
        priority: crate::tasks::Priority::Normal,
        due_at: None,
    }
}

async fn refused(path: &Path) -> EngineError {
    let before = std::fs::read(path).unwrap();
    let error = open(path, &settings::Settings::default().ledger, &KINDS).await.err().expect("refused");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was not touched");
    error
}

/// What a clock that is set back would do to histories, which are read by time.
#[tokio::test]
async fn times_follow_the_order_of_commits_whatever_the_clock_says() {
    let bed = Bed::new().await;
    bed.engine.accept(add()).await.unwrap();
    bed.engine.close().await;
    let ahead = Instant::now().plus(Duration::from_secs(3600));
    let connection = rusqlite::Connection::open(&bed.path).unwrap();
    connection.execute("UPDATE tasks SET accepted_at = ?1", [ahead.micros()]).unwrap();
    drop(connection);
    let bed = bed.restart().await;
    let Accepted::New(task, _) = bed.engine.accept(add()).await.unwrap() else { panic!("new") };
    assert_eq!(task.accepted_at, ahead);
}

#[tokio::test]
async fn a_file_from_a_newer_version_is_refused_untouched() {
    let bed = Bed::new().await;
    bed.engine.close().await;
    let connection = rusqlite::Connection::open(&bed.path).unwrap();
    connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(connection);
    let error = refused(&bed.path).await;
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(error.to_string().contains("newer"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    std::fs::write(&path, b"not a database, but somebody's text".repeat(100)).unwrap();
    assert_eq!(refused(&path).await.kind(), ErrorKind::Broken);
    std::fs::remove_file(&path).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE mine (a)").unwrap();
    drop(connection);
    let error = refused(&path).await;
    assert!(error.to_string().contains("something else"), "{error}");
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let bed = Bed::new().await;
    let error = open(&bed.path, &settings::Settings::default().ledger, &KINDS).await.err().expect("refused");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(bed);
}

#[tokio::test]
async fn a_damaged_page_is_an_error_and_no_panic() {
    let bed = Bed::new().await;
    for _ in 0..200 {
        bed.engine.accept(add()).await.unwrap();
    }
    bed.engine.close().await;
    let mut bytes = std::fs::read(&bed.path).unwrap();
    // Every page but the first, which holds the header and the schema.
    bytes[4096..].fill(0xAA);
    std::fs::write(&bed.path, &bytes).unwrap();
    let error = refused(&bed.path).await;
    assert_eq!(error.kind(), ErrorKind::Broken, "{error}");
}

#[tokio::test]
async fn old_events_are_pruned_and_a_reader_from_before_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let bed = start(dir.path().join("ledger.db"), Arc::new(tempfile::tempdir().unwrap())).await;
    let new = add();
    let id = new.id;
    bed.engine.accept(new).await.unwrap();
    let error = TaskError { code: "x".into(), message: "y".into() };
    for _ in 0..3 {
        let request = ClaimRequest {
            worker: crate::ids::WorkerId::new(),
            host: String::new(),
            kinds: all_kinds(),
            max: 1,
            lease: Duration::from_secs(10),
            wait: Duration::from_secs(10),
            most: std::collections::BTreeMap::new(),
            enough: None,
        };
        let claim = bed.engine.claim(&request).await.unwrap().pop().unwrap();
        bed.engine
            .end(
                &claim.lease,
                claim.started_at,
                End::RetryAt { due: Instant::now(), error: error.clone(), counts: true },
            )
            .await
            .unwrap();
    }
    sweep::prune(&bed.engine.writer, Instant::now().plus(Duration::from_secs(1))).await.unwrap();
    let page = bed.engine.events_after(&EventFilter::default(), 0, 100).await.unwrap();
    assert!(page.reset);
    let task = bed.engine.get(id).await.unwrap().unwrap();
    assert_eq!((task.attempts, task.error), (3, Some(error)), "the present state stays");
    let page = bed.engine.events_after(&EventFilter::default(), page.cursor, 100).await.unwrap();
    assert!(!page.reset && page.events.is_empty());
}

/// As the version before has left it, with a user of each kind, their tokens and their tasks in a run.
#[tokio::test]
async fn a_ledger_of_the_version_before_keeps_its_sessions_and_what_people_ordered() {
    use crate::accounts::{Accounts, RefreshBounds, RefreshHashes, Refreshed};
    use crate::ids::{RunId, SessionId, UserId};

    let dir = Arc::new(tempfile::tempdir().unwrap());
    let path = dir.path().join("ledger.db");
    let (person, left, made, session) = (UserId::new(), UserId::new(), UserId::new(), SessionId::new());
    let (now, run) = (Instant::now(), RunId::new());
    let hour = Duration::from_secs(3600);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("schema.sql")).unwrap();
    connection.pragma_update(None, "application_id", 0x6361_7264).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    for (id, name, of) in [(person, "ada", None), (made, "gen-1", Some(run.as_str()))] {
        let user = (id.uuid().into_bytes(), name, "hash", now.micros(), of);
        connection.execute("INSERT INTO users VALUES (?1, ?2, ?3, ?4, ?5)", user).unwrap();
    }
    // Of a user who is there, and of one whose sign-in met a deletion.
    for (token, owner, session) in [([1; 32], person, session), ([2; 32], left, SessionId::new())] {
        let token = (token, session.uuid().into_bytes(), owner.uuid().into_bytes(), now.plus(hour).micros());
        connection.execute("INSERT INTO refresh_tokens VALUES (?1, ?2, ?3, ?4, 0)", token).unwrap();
    }
    for (seq, owner) in [(1, person), (2, left), (3, made)] {
        let task = (seq, TaskId::new().uuid().into_bytes(), owner.uuid().into_bytes(), run.as_str(), now.micros());
        connection
            .execute(
                "INSERT INTO tasks (seq, id, kind, owner, run, payload, accepted_at, status, attempts, due_at, last_seq)
                 VALUES (?1, ?2, 1, ?3, ?4, '{}', ?5, 2, 0, ?5, ?1)",
                task,
            )
            .unwrap();
    }
    connection.execute_batch("UPDATE books SET next_seq = 4; INSERT INTO counts VALUES (1, 2, 3);").unwrap();
    drop(connection);

    let bed = start(path.clone(), dir).await;
    let bounds = RefreshBounds { now, token: hour, session: hour * 24 };
    let old = |token: u8| RefreshHashes { token: [token; 32], family: [token + 100; 32] };
    let new = |token: u8| RefreshHashes { token: [token + 10; 32], family: [token + 100; 32] };
    let refreshed = bed.engine.refresh_session(old(1), new(1), bounds).await.unwrap();
    assert!(matches!(refreshed, Refreshed::Rotated { user, session: of, .. } if (user, of) == (person, session)));
    assert_eq!(bed.engine.sessions(person).await.unwrap().len(), 1);
    assert_eq!(bed.engine.refresh_session(old(1), new(1), bounds).await.unwrap(), Refreshed::Reused);
    assert_eq!(bed.engine.refresh_session(old(2), new(2), bounds).await.unwrap(), Refreshed::Unknown);
    let cleaned = bed.engine.clean_run(&run).await.unwrap();
    assert_eq!((cleaned.users, cleaned.tasks), (1, 1), "what may be a person's stays");
    assert!(path.with_extension("schema-1.bak").exists());
}

/// What the versions before wrote, with tasks in every state.
#[tokio::test]
async fn a_ledger_of_the_version_before_keeps_every_task_effect_and_count() {
    let [earlier, migration] = [include_str!("fixtures/schema_3.sql"), include_str!("schema_4.sql")];
    keeps_all(&format!("{earlier}{migration}PRAGMA user_version = 4;"), 4).await;
}

#[tokio::test]
async fn so_does_one_of_the_version_before_that() {
    keeps_all(include_str!("fixtures/schema_3.sql"), 3).await;
}

#[tokio::test]
async fn and_one_of_two_versions_before_that() {
    keeps_all(include_str!("fixtures/schema_2.sql"), 2).await;
}

async fn keeps_all(fixture: &str, schema: u32) {
    use crate::engine::conformance::REPLACEMENT;
    use crate::ids::UserId;
    use crate::tasks::{Effect, Outcome, Status};

    let dir = Arc::new(tempfile::tempdir().unwrap());
    let path = dir.path().join("ledger.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(fixture).unwrap();
    let ada: Vec<u8> =
        connection.query_row("SELECT id FROM users WHERE username = 'ada'", [], |row| row.get(0)).unwrap();
    let ada = UserId::from_uuid(Uuid::from_slice(&ada).unwrap());
    drop(connection);

    let bed = start(path.clone(), dir).await;
    assert!(path.with_extension(format!("schema-{schema}.bak")).exists());
    let engine = &*bed.store.engine;
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.accepted_total, stats.settled_total), (18, 13));
    assert_eq!((stats.queue.dead, stats.queue.paused), (1, true));
    assert_eq!((stats.by_kind[&REPLACEMENT].backlog, stats.by_kind[&ADD].backlog), (4, 1));
    let all = engine.list(&TaskFilter::default(), None, 100).await.unwrap().items;
    let with = |status| all.iter().filter(|task| task.status == status).count();
    let counts = [Status::Queued, Status::Retrying, Status::Succeeded, Status::Declined, Status::Dead].map(with);
    assert_eq!(counts, [4, 1, 9, 2, 2], "one of the dead was discarded");
    // Two cards: the second took the place of the first.
    let cards = engine.effects_of(ada, REPLACEMENT).await.unwrap();
    assert_eq!(cards.iter().map(|card| card.is_active).collect::<Vec<_>>(), [true, false]);
    assert_eq!(cards[0].replaces, Some(cards[1].id));
    assert!(cards[0].seq > cards[1].seq && cards[1].seq > 0, "their places in the log");
    let data: serde_json::Value = serde_json::from_str(cards[0].data.get()).unwrap();
    assert_eq!((&data["last4"], &data["network"]), (&"3804".into(), &"mastercard".into()));
    for (run, tasks) in [("good", 3), ("sums", 2)] {
        let audit = engine.effects(&run.parse().unwrap(), None, 100).await.unwrap().items;
        assert_eq!(audit.len(), tasks);
        assert!(audit.iter().all(|task| (task.effects, task.finals) == (1, 1)), "{audit:?}");
    }
    let audit = engine.effects(&"declines".parse().unwrap(), None, 100).await.unwrap().items;
    assert!(audit.iter().all(|task| (task.effects, task.finals) == (0, 1)), "{audit:?}");

    // It goes on: what was open is handed out, once, and what is settled now has its effect in the new place.
    engine.set_paused(false).await.unwrap();
    let mut open = 0;
    // The one that was put off is due by now.
    while open < 5 {
        let worker = crate::ids::WorkerId::new();
        let request = crate::engine::conformance::request(worker);
        for claim in engine.claim(&request).await.unwrap() {
            open += 1;
            let result = serde_json::value::to_raw_value(&open).unwrap();
            let card = Effect { slot: Some("card".into()), data: result.clone() };
            let outcome = Outcome::Succeeded { result, effect: (claim.kind == REPLACEMENT).then_some(card) };
            engine.end(&claim.lease, claim.started_at, End::Settle(outcome)).await.unwrap();
            if let Some(owner) = claim.owner.filter(|_| claim.kind == REPLACEMENT) {
                assert!(engine.effects_of(owner, REPLACEMENT).await.unwrap()[0].is_active);
            }
        }
    }
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.accepted_total, stats.settled_total, stats.queue.ready), (18, 18, 0));
}

/// The rule of docs/reference/api.md. Here a task is kept until its run is cleaned up, and its key with it.
#[tokio::test]
async fn a_key_is_remembered_as_long_as_its_task() {
    use crate::tasks::{Idempotency, Outcome};

    let bed = Bed::new().await;
    let run = crate::ids::RunId::new();
    let with_key = || NewTask {
        run: Some(run.clone()),
        idempotency: Some(Idempotency { key: "a-key".into(), fingerprint: [7; 32] }),
        ..add()
    };
    bed.engine.accept(with_key()).await.unwrap();
    let request = crate::engine::conformance::request(crate::ids::WorkerId::new());
    let claim = bed.engine.claim(&request).await.unwrap().pop().unwrap();
    let result = serde_json::value::to_raw_value(&1).unwrap();
    let outcome = Outcome::Succeeded { result, effect: None };
    bed.engine.end(&claim.lease, claim.started_at, End::Settle(outcome)).await.unwrap();
    // As if a year had passed.
    sweep::prune(&bed.engine.writer, Instant::now().plus(Duration::from_secs(365 * 86_400))).await.unwrap();
    assert!(
        matches!(bed.engine.accept(with_key()).await.unwrap(), Accepted::Replay(task) if task.id == claim.lease.task)
    );
    bed.engine.clean_run(&run).await.unwrap();
    assert!(matches!(bed.engine.accept(with_key()).await.unwrap(), Accepted::New(..)));
}
