//! Who has seen a write is not shown an older state by any server (P10), and what has not changed is not sent again.

use card_core::engine::EventSeq;
use card_core::ids::TaskId;

use crate::client::{Caller, Client, Known, PurchaseQuery, SyntheticUser};
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

/// Servers share an address: each connection may come to another one of them.
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;

/// A purchase that is known to be recorded is in each read from then on, on every connection.
pub(in crate::commands::smoke) async fn read_your_write(stage: &Stage) -> Result<String, Miss> {
    let (user, connections) = (stage.user().await?, stage.connections(CONNECTIONS)?);
    let mut last = 0;
    for round in 1..=ROUNDS {
        let (task, sequence) = super::purchase::buy(stage, &user, "1.00").await?;
        last = last.max(sequence);
        for client in &connections {
            let known = Known { min_sequence: Some(last), tag: None };
            let (tasks, _, sequence) = read(client, &user, known).await?;
            if tasks.as_ref().is_none_or(|tasks| tasks.len() != round || tasks.first() != Some(&task)) {
                return Err(Miss::Incorrect(format!("{task} was recorded, and a read after that does not show it")));
            }
            if sequence < last {
                return Err(Miss::Incorrect(format!("a read went back from sequence {last} to {sequence}")));
            }
            last = sequence;
        }
    }
    Ok(format!("{ROUNDS} purchases, each seen on {CONNECTIONS} connections"))
}

/// The tag of a history is the same on every connection, gets 304 while nothing changes, and 200 as soon as something has.
pub(in crate::commands::smoke) async fn not_modified(stage: &Stage) -> Result<String, Miss> {
    let (user, connections) = (stage.user().await?, stage.connections(CONNECTIONS)?);
    super::purchase::buy(stage, &user, "1.00").await?;
    let (_, tag, _) = read(&stage.client, &user, Known::default()).await?;
    let known = Known { min_sequence: None, tag: Some(&tag) };
    if tag.starts_with("W/") {
        return Err(Miss::Wrong(format!("the ETag {tag} is weak")));
    }
    for client in &connections {
        let (tasks, again, _) = read(client, &user, known).await?;
        if again != tag {
            return Err(Miss::Wrong(format!("one history has the ETags {tag} and {again}")));
        }
        if tasks.is_some() {
            return Err(Miss::Wrong("a history that has not changed was sent again".to_owned()));
        }
    }
    super::purchase::buy(stage, &user, "2.00").await?;
    for client in &connections {
        let (tasks, new, _) = read(client, &user, known).await?;
        if tasks.is_none_or(|tasks| tasks.len() != 2) || new == tag {
            return Err(Miss::Incorrect("304 for a history that has changed".to_owned()));
        }
    }
    Ok(format!("one ETag on {CONNECTIONS} connections, 304 until a purchase came"))
}

type Read = (Option<Vec<TaskId>>, String, EventSeq);

async fn read(client: &Client, user: &SyntheticUser, known: Known<'_>) -> Result<Read, Miss> {
    let caller = Caller::User(&user.access_token);
    let read = client.purchases(&PurchaseQuery::default(), 50, None, known, caller).await?;
    let tasks = read.value.map(|page| page.items.iter().map(|purchase| purchase.task).collect());
    Ok((tasks, read.tag, read.sequence))
}
