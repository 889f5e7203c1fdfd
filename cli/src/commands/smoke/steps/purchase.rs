//! A purchase is recorded once, with the price that was sent, and the sum of several is exact (P2).

use card_core::engine::EventSeq;
use card_core::ids::TaskId;
use card_core::tasks::Status;
use card_kinds::purchase::NewPurchase;

use crate::client::{Caller, Known, PurchaseQuery, SyntheticUser};
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

/// A sum of floats would not come to the total.
const PRICES: [&str; 4] = ["0.10", "0.20", "0.0001", "999999999999.9999"];
const TOTAL: &str = "1000000000000.30";

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let user = stage.user().await?;
    let mut expected = Vec::new();
    for price in PRICES {
        let (task, _) = buy(stage, &user, price).await?;
        expected.push((task, price));
    }
    // Newest first.
    expected.reverse();
    let (query, caller) = (PurchaseQuery::default(), Caller::User(&user.access_token));
    let read = stage.client.purchases(&query, PRICES.len() + 1, None, Known::default(), caller).await?;
    let items = read.value.map(|page| page.items).unwrap_or_default();
    let prices: Vec<_> = items.iter().map(|purchase| (purchase.task, purchase.price.to_string())).collect();
    if !prices.iter().map(|(task, price)| (*task, price.as_str())).eq(expected) {
        return Err(Miss::Incorrect(format!(
            "bought {} times, and the history has {} purchases: {prices:?}",
            PRICES.len(),
            items.len()
        )));
    }
    let read = stage.client.purchase_summary(&query, Known::default(), caller).await?;
    match read.value {
        Some(sum) if (sum.count, sum.total.as_str()) == (PRICES.len() as u64, TOTAL) => {
            Ok(format!("{} purchases recorded, total {TOTAL} exact", sum.count))
        }
        Some(sum) => {
            Err(Miss::Incorrect(format!("{} purchases with a total of {}, not {TOTAL}", sum.count, sum.total)))
        }
        None => Err(Miss::Wrong("304 to a read that named no ETag".to_owned())),
    }
}

/// Buys, and waits until it is recorded; the task, and the place in the log of the write.
pub(super) async fn buy(stage: &Stage, user: &SyntheticUser, price: &str) -> Result<(TaskId, EventSeq), Miss> {
    let price = price.parse().map_err(|error| Miss::Unknown(format!("{price}: {error}")))?;
    let purchase = NewPurchase { price, item: Some("smoke".to_owned()) };
    let (task, sequence) = stage.client.buy(&purchase, stage.accept(user, None)).await?;
    let ended = stage.ended(task.id).await?;
    if ended.status == Status::Succeeded {
        Ok((task.id, sequence))
    } else {
        Err(Miss::Wrong(format!("{} is {}", task.id, ended.status)))
    }
}
