//! Readers beside the writer: a few connections that see the last commit and hold nobody up.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::open_reader;
use super::writer::{classify, closed};
use crate::engine::EngineError;

const CONNECTIONS: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let idle = (0..CONNECTIONS).map(|_| open_reader(path)).collect::<Result<_, _>>().map_err(classify)?;
        Ok(Self { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Runs a read on a thread that may block. All statements of one call see one commit if `read` opens a transaction.
    pub(super) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // As many permits as connections; a connection is only missing if a read before panicked.
            let connection = readers.lock().pop().ok_or_else(closed)?;
            let result = read(&connection).map_err(classify);
            readers.lock().push(connection);
            result
        });
        task.await
            .map_err(|error| EngineError::new(crate::engine::ErrorKind::Internal, "a read failed").caused_by(error))?
    }

    /// Lets no further read begin and closes the connections.
    pub(super) async fn close(&self) {
        let _ = self.permits.acquire_many(CONNECTIONS as u32).await;
        self.permits.close();
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
