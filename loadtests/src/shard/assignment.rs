//! What a generator is told to do: one document, the same for all of them but for its number.

use std::path::PathBuf;
use std::time::Duration;

use card_core::ids::RunId;
use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::plan::Plan;
use crate::run::Setup;
use crate::share::{InvalidShare, Share};
use card_client::Client;

/// A search doubles from the first size to the last and then halves: it tries no more sizes than these.
const MOST_SIZES: usize = 30;
/// Reading and comparing, for a platform that is slow after the load.
const AUDIT: Duration = Duration::from_secs(120);

/// A load test, for those who make it together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The version of this and of what is left behind.
    pub v: u32,
    /// The load test.
    pub run: RunId,
    /// What the requests are made from.
    pub seed: u64,
    /// As it stands in the result.
    pub target: String,
    /// What all of them do together.
    pub plan: Plan,
    /// How many they are.
    pub generators: u64,
    /// Where the senders' ledgers are kept, `journal-1.jsonl` and so on; in memory if nowhere.
    pub ledgers: Option<PathBuf>,
}

/// An assignment that this program can't carry out.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAssignment {
    /// It is none.
    #[error("not an assignment of a load generator: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is of another version of this program.
    #[error("the assignment is of version {0}, this program knows {VERSION}: image and command line differ")]
    Version(u64),
    /// There is no generator with this number.
    #[error("there is no generator {number} of {of}")]
    Share {
        number: u64,
        /// How many there are.
        of: u64,
    },
}

impl Assignment {
    /// Reads it. The version comes first: another's may have fields that this one does not know.
    ///
    /// # Errors
    /// See [`InvalidAssignment`].
    pub fn read(text: &str) -> Result<Self, InvalidAssignment> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u64,
        }
        let Versioned { v } = serde_json::from_str(text)?;
        if v != u64::from(VERSION) {
            return Err(InvalidAssignment::Version(v));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The part of the generator with this number, from 1.
    ///
    /// # Errors
    /// There is none.
    pub fn share(&self, number: u64) -> Result<Share, InvalidAssignment> {
        let of = self.generators;
        Share::new(number, of).map_err(|InvalidShare| InvalidAssignment::Share { number, of })
    }

    /// How long it can take at most, from the start of a process to its last line.
    #[must_use]
    pub fn limit(&self) -> Duration {
        let plan = &self.plan;
        let courses = if plan.growth.is_some() { MOST_SIZES } else { plan.steps.len().max(1) };
        let courses = u32::try_from(courses).unwrap_or(u32::MAX);
        let each = plan.course() + plan.drain + crate::run::BARRIER_TIMEOUT + crate::run::LAST_ANSWERS;
        each.saturating_mul(courses) + plan.settle + AUDIT
    }

    /// How long it can take from when it is told to end: what was accepted is still waited for and audited.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.plan.drain + self.plan.settle + crate::run::LAST_ANSWERS + AUDIT
    }

    /// What it takes to carry a part of it out.
    #[must_use]
    pub fn setup(self, client: Client, share: Share) -> Setup {
        let ledger = self.ledgers.map(|dir| dir.join(ledger_of(share)));
        Setup { client, target: self.target, run: self.run, seed: self.seed, plan: self.plan, ledger }
    }
}

/// What the ledger of a generator is called.
#[must_use]
pub fn ledger_of(share: Share) -> String {
    if share.is_whole() { "journal.jsonl".to_owned() } else { format!("journal-{}.jsonl", share.number()) }
}
