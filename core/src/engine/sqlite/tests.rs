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
