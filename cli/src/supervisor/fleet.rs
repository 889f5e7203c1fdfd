//! How many there are of each part.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use card_core::process::Part;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::keeper::Keeper;
use super::orders::Orders;
use super::roster::{Child, Condition, Roster};

/// The children and who keeps them. Dropping it kills them.
pub(super) struct Fleet {
    roster: Arc<Roster>,
    orders: Arc<Orders>,
    /// What a child gets to end.
    limit: Duration,
    keepers: Mutex<Vec<(Part, AbortOnDropHandle<bool>)>>,
}

impl Fleet {
    pub(super) fn new(orders: Orders, limit: Duration) -> Arc<Self> {
        Arc::new(Self { roster: Roster::new(), orders: Arc::new(orders), limit, keepers: Mutex::new(Vec::new()) })
    }

    pub(super) fn children(&self) -> Vec<Child> {
        self.roster.children()
    }

    /// Those of a part that are meant to stay, the oldest first.
    pub(super) fn staying(&self, part: Part) -> Vec<Child> {
        self.roster.staying(part)
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.roster.changes()
    }

    pub(super) fn issuer_url(&self) -> Option<String> {
        Some(format!("http://{}", self.orders.issuer()?))
    }

    /// Lets there be so many: starts new ones, or tells the youngest to finish what they have and stop. Waits for
    /// neither.
    pub(super) fn scale(&self, part: Part, wanted: usize) {
        let mut keepers = self.keepers();
        keepers.retain(|(_, keeper)| !keeper.is_finished());
        let present = self.roster.staying(part).len();
        self.roster.dismiss(part, wanted);
        for _ in present..wanted {
            let (name, stop) = self.roster.add(part);
            let (orders, called) = (Arc::clone(&self.orders), name.clone());
            let order = move || orders.order(part, &called);
            let keeper = Keeper { name, roster: Arc::clone(&self.roster), order, stop, limit: self.limit };
            keepers.push((part, AbortOnDropHandle::new(tokio::spawn(keeper.keep()))));
        }
    }

    /// Starts the issuer, unless an outside one is used, and tells the others where it is.
    ///
    /// # Errors
    /// It died before it was ready.
    pub(super) async fn start_issuer(&self) -> Result<(), Child> {
        if self.orders.has_outside_issuer() {
            return Ok(());
        }
        self.scale(Part::Issuer, 1);
        self.first_up().await?;
        if let Some(address) = self.staying(Part::Issuer).into_iter().find_map(|issuer| issuer.address) {
            self.orders.issuer_is_at(&address);
        }
        Ok(())
    }

    /// Waits until every child is up for the first time.
    ///
    /// # Errors
    /// One that died before that. It would be started again, but what it died of at once it dies of again.
    pub(super) async fn first_up(&self) -> Result<(), Child> {
        let mut changes = self.changes();
        loop {
            let children = self.children();
            if let Some(dead) = children.iter().find(|child| child.last_exit.is_some()) {
                return Err(dead.clone());
            }
            if children.iter().all(|child| child.condition == Condition::Up) {
                return Ok(());
            }
            // The sender is in the roster, which is in self.
            let _ = changes.changed().await;
        }
    }

    /// Ends everybody in order: servers take no new work, workers finish their steps, the issuer answers its last calls.
    /// Whether each ended by itself.
    pub(super) async fn end_all(&self) -> bool {
        let mut ended = true;
        for part in [Part::Server, Part::Worker, Part::Issuer] {
            ended &= self.end(part).await;
        }
        ended
    }

    /// Ends all of a part. Whether each ended by itself.
    async fn end(&self, part: Part) -> bool {
        self.roster.dismiss(part, 0);
        let ending: Vec<_> = {
            let mut keepers = self.keepers();
            keepers.extract_if(.., |(of, _)| *of == part).map(|(_, keeper)| keeper).collect()
        };
        let ended = futures::future::join_all(ending).await;
        ended.into_iter().all(|ended| ended.unwrap_or(false))
    }

    fn keepers(&self) -> MutexGuard<'_, Vec<(Part, AbortOnDropHandle<bool>)>> {
        // Every change is whole when the lock is let go.
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
