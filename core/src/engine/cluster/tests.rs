//! The conformance suite on Postgres and Redis, and what only these two can do wrong.

use std::sync::Arc;

use super::*;
use crate::engine::conformance::{Testbed, engine_conformance};
use crate::settings::Settings;
use crate::testing::Database;

struct Bed {
    store: Store,
    engine: Arc<ClusterEngine>,
    address: Address,
    settings: Settings,
    database: Database,
}

async fn start(database: Database) -> Bed {
    let address = Address { database: database.url().to_owned(), redis: database.redis().to_owned() };
    let mut settings = Settings::default();
    settings.delivery.prefix = database.prefix().to_owned();
    let engine = Arc::new(open_engine(&address, &settings).await.unwrap());
    let store = Store { engine: Arc::<ClusterEngine>::clone(&engine), accounts: Arc::<ClusterEngine>::clone(&engine) };
    Bed { store, engine, address, settings, database }
}

impl Testbed for Bed {
    async fn new() -> Self {
        start(Database::create()).await
    }

    fn store(&self) -> &Store {
        &self.store
    }

    /// Redis is this engine's memory.
    async fn restart(self) -> Self {
        self.engine.close().await;
        self.forget().await;
        start(self.database).await
    }

    async fn forget(&self) {
        self.database.wipe_redis();
    }
}

engine_conformance!(Bed);
