//! The audit of a million accepted ids: how long, and how much memory beyond the run's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use card_client::Caller;
use card_client::audit::{Drain, Stage, prove};
use card_client::identities::Identities;
use card_client::ledger::Ledger;
use card_client::observer::Observer;
use card_client::orders::Orders;
use card_client::sender::{Sender, Sent};
use card_core::ids::RunId;
use card_kinds::add::Addition;
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;
use crate::{Failed, report};

const IDS: u64 = 1_000_000;
const SENDERS: usize = 256;

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    let (client, run) = (&platform.client, RunId::new());
    let folder = tempfile::tempdir()?;
    let ledger = Arc::new(Ledger::create(Some(&folder.path().join("journal.jsonl")), &run, 1, true)?);
    let observer = Observer::of_ends(client, &run, Duration::from_secs(30)).await?;
    let sender = Sender::new(client, &run, Arc::clone(&ledger), Duration::from_secs(30), CancellationToken::new());
    let identities = Arc::new(Identities::new(client, &run, SENDERS as u64));
    identities.have(SENDERS as u64).await?;
    let (next, orders) = (Arc::new(AtomicU64::new(0)), Orders::of::<Addition>(1));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let orders = orders.clone();
        let (sender, identities, next) = (sender.clone(), Arc::clone(&identities), Arc::clone(&next));
        senders.spawn(async move {
            let user = identities.next().await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= IDS {
                    return Ok::<(), Failed>(());
                }
                if let Sent::Refused(error) | Sent::Unanswered(error) =
                    sender.send(&user, number, &orders.get(number), |_| {}).await?
                {
                    return Err(error.into());
                }
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    ledger.flush()?;
    let drain = Drain { bound: Duration::from_secs(120), ..Drain::default() };
    let before = std::cell::Cell::new(0.0);
    let audit = prove(client, &run, &ledger, &observer, drain, |stage| {
        if stage == Stage::Drain {
            before.set(resident().unwrap_or_default());
            forget_the_peak();
        }
    })
    .await;
    report!(
        "audit of {} accepted ids: {:.1} s, {:.0} MB beyond the run's {:.0} MB; {} lost, {} duplicate, {} stuck, {} unverified",
        audit.accepted,
        audit.audit_ms as f64 / 1000.0,
        peak()? - before.get(),
        before.get(),
        audit.lost,
        audit.duplicate,
        audit.stuck,
        audit.unverified
    );
    client.probe("/api/v1/stats", Caller::Operator).await?;
    platform.stop().await
}

fn field(name: &str) -> Result<f64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("a field of /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

fn resident() -> Result<f64, Failed> {
    field("VmRSS:")
}

fn peak() -> Result<f64, Failed> {
    field("VmHWM:")
}

/// proc(5): 5 resets the peak of the resident size.
fn forget_the_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
