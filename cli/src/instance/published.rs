//! The record of a process that serves, changed by several of its parts.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Paths, Record};

/// `instance.json` and who may change it: this process, until it is withdrawn.
#[derive(Debug)]
pub struct Published {
    paths: Paths,
    state: Mutex<(Record, bool)>,
}

impl Published {
    /// Writes it.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn new(paths: &Paths, record: Record) -> io::Result<Arc<Self>> {
        record.store(paths)?;
        Ok(Arc::new(Self { paths: paths.clone(), state: Mutex::new((record, true)) }))
    }

    /// As it is now.
    #[must_use]
    pub fn record(&self) -> Record {
        self.state().0.clone()
    }

    /// Changes it and writes it if that made a difference. Does nothing once it is withdrawn.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn change(&self, change: impl FnOnce(&mut Record)) -> io::Result<()> {
        let mut state = self.state();
        let (record, is_public) = &mut *state;
        let before = record.clone();
        change(record);
        if *is_public && *record != before { record.store(&self.paths) } else { Ok(()) }
    }

    /// Removes it for good.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn withdraw(&self) -> io::Result<()> {
        self.state().1 = false;
        Record::remove(&self.paths)
    }

    fn state(&self) -> MutexGuard<'_, (Record, bool)> {
        // Every change is whole when the lock is let go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
