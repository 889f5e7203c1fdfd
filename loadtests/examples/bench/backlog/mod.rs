//! A million queued tasks: what they do to accepts, to the rate at which they are worked off, and to memory.

mod burst;
mod cluster;
mod drain;
mod embedded;
mod ledger;
mod plans;

use crate::Failed;
use crate::given::{Engine, Given};

const BACKLOG: u64 = 1_000_000;

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    match given.engine {
        Engine::Embedded => embedded::run(given).await,
        Engine::Cluster => cluster::run(given).await,
    }
}
