//! The conformance suite on SQLite, and what only a file can do wrong.

use std::path::PathBuf;

use super::*;
use crate::engine::conformance::{Testbed, engine_conformance};

struct Bed {
    store: Store,
    engine: Arc<SqliteEngine>,
    path: PathBuf,
    _dir: Arc<tempfile::TempDir>,
}

async fn start(path: PathBuf, dir: Arc<tempfile::TempDir>) -> Bed {
    let engine = Arc::new(open_engine(&path, &settings::Settings::default().ledger).await.unwrap());
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
        kind: crate::tasks::Kind::Add,
        owner: None,
        run: None,
        payload: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        exclusive: None,
        idempotency: None,
    }
}

async fn refused(path: &Path) -> EngineError {
    let before = std::fs::read(path).unwrap();
    let error = open(path, &settings::Settings::default().ledger).await.err().expect("refused");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was not touched");
    error
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
    let error = open(&bed.path, &settings::Settings::default().ledger).await.err().expect("refused");
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
            kinds: crate::tasks::Kind::ALL.to_vec(),
            max: 1,
            lease: Duration::from_secs(10),
            wait: Duration::from_secs(10),
        };
        let claim = bed.engine.claim(&request).await.unwrap().pop().unwrap();
        bed.engine.retry_at(&claim.lease, claim.started_at, Instant::now(), error.clone(), true).await.unwrap();
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
