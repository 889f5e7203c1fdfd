//! Running totals: what would take a scan to count.
//!
//! They change in memory while a batch is applied, are written in the same transaction, and are thrown away with it if
//! it fails.

use rusqlite::{Connection, params};

use super::rows::StatusCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Books {
    /// The place of the next event in the log. Never goes back, whatever is cleaned up.
    pub(super) next_seq: i64,
    pub(super) accepted: i64,
    pub(super) settled: i64,
    /// Events up to here may be gone.
    pub(super) events_floor: i64,
    pub(super) paused: bool,
    /// Tasks by the code of their kind and status.
    counts: Vec<[i64; StatusCode::COUNT]>,
}

impl Books {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut books = connection.query_row(
            "SELECT next_seq, accepted, settled, events_floor, paused FROM books WHERE id = 1",
            [],
            |row| {
                Ok(Self {
                    next_seq: row.get(0)?,
                    accepted: row.get(1)?,
                    settled: row.get(2)?,
                    events_floor: row.get(3)?,
                    paused: row.get(4)?,
                    counts: Vec::new(),
                })
            },
        )?;
        let mut statement = connection.prepare("SELECT kind, status, n FROM counts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, status): (u8, i64) = (row.get(0)?, row.get(1)?);
            books.add(kind, StatusCode(status), row.get(2)?);
        }
        Ok(books)
    }

    /// Writes what differs from `before`, inside the open transaction.
    pub(super) fn save(&self, before: &Self, connection: &Connection) -> rusqlite::Result<()> {
        if self == before {
            return Ok(());
        }
        connection
            .prepare_cached(
                "UPDATE books SET next_seq = ?1, accepted = ?2, settled = ?3, events_floor = ?4, paused = ?5",
            )?
            .execute(params![self.next_seq, self.accepted, self.settled, self.events_floor, self.paused])?;
        let mut statement = connection.prepare_cached(
            "INSERT INTO counts (kind, status, n) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = excluded.n",
        )?;
        for (kind, counts) in self.counts.iter().enumerate() {
            let old = before.counts.get(kind).unwrap_or(&[0; StatusCode::COUNT]);
            for (status, (count, old)) in counts.iter().zip(old).enumerate() {
                if count != old {
                    statement.execute(params![kind as i64, status as i64, count])?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn take_seq(&mut self) -> i64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// `kind` is the code of one.
    pub(super) fn add(&mut self, kind: u8, status: StatusCode, change: i64) {
        let kind = usize::from(kind);
        if self.counts.len() <= kind {
            self.counts.resize(kind + 1, [0; StatusCode::COUNT]);
        }
        self.counts[kind][status.0 as usize] += change;
    }

    /// Tasks of all kinds with this status.
    pub(super) fn count(&self, status: StatusCode) -> u64 {
        self.counts.iter().map(|counts| counts[status.0 as usize]).sum::<i64>().try_into().unwrap_or(0)
    }

    pub(super) fn open(&self) -> u64 {
        self.count(StatusCode::QUEUED) + self.count(StatusCode::RETRYING)
    }

    /// Tasks of the kind with a code that have a status.
    pub(super) fn count_of(&self, kind: u8, status: StatusCode) -> u64 {
        let count = self.counts.get(usize::from(kind)).map_or(0, |counts| counts[status.0 as usize]);
        u64::try_from(count).unwrap_or(0)
    }

    /// Open tasks of the kind with a code.
    pub(super) fn open_of(&self, kind: u8) -> u64 {
        self.count_of(kind, StatusCode::QUEUED) + self.count_of(kind, StatusCode::RETRYING)
    }
}
