//! An exact number of orders, once each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use card_client::{Accept, Caller, Client, Order};
use card_kinds::add::{Add, Addition};
use tokio::task::JoinSet;

use crate::Failed;

const SENDERS: usize = 64;

/// Returns when all of them are accepted.
pub(super) async fn send(client: &Client, count: u64) -> Result<(), Failed> {
    let next = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (client, next) = (client.clone(), Arc::clone(&next));
        senders.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let accept = Accept { caller: Caller::Operator, run: None, key: None };
                client.accept(&Order::of::<Addition>(&Add { x: 20, y: 22 }), accept).await?;
            }
            Ok::<(), Failed>(())
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Ok(())
}
