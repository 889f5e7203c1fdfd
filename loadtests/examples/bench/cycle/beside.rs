//! Our cycle and those of the peers in one run: ours, then each of theirs, round by round, so that a ratio means
//! something on a machine that is slower at one time than at another. What is the same and what is not: [`crate::peers`].
//!
//! Ours counts from the first order on, theirs from two seconds after the first completion. Theirs are asked for no more
//! than they do; ours is asked for as much as it accepts, and shares the cores with that.

use std::time::Duration;

use super::{ORIGINAL, measure};
use crate::given::Given;
use crate::{Failed, peers, report};

/// A figure of each round.
struct Column {
    name: String,
    rates: Vec<f64>,
}

impl Column {
    fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

pub(super) async fn run(given: Given) -> Result<(), Failed> {
    let (rounds, window) = (given.pick(3, 1), Duration::from_secs(given.pick(30, 4)));
    let mut peers = peers::installed().await?;
    let column = |name: &str| Column { name: name.to_owned(), rates: Vec::new() };
    let mut ours = [column("ours, sustained"), column("ours, with the rest worked off")];
    let mut theirs: Vec<Column> =
        peers.iter().map(|peer| column(&format!("{}, {}", peer.name, peer.version))).collect();
    for round in 1..=rounds {
        let cycle = measure(given).await?;
        report!("round {round}: {cycle}");
        ours[0].rates.push(cycle.sustained);
        ours[1].rates.push(cycle.overall());
        for (peer, column) in peers.iter_mut().zip(&mut theirs) {
            let row = peer.round(round, window).await?;
            report!("round {round}: {}", serde_json::to_string(&row)?);
            column.rates.push(row.cycle);
        }
    }
    let sustained = ours[0].median();
    let heads: String = (1..=rounds).map(|round| format!("{:>10}", format!("round {round}"))).collect();
    report!("{:<60}{heads}{:>10}{:>20}", "completed/s", "median", "sustained is × this");
    for column in ours.iter().chain(&theirs) {
        let rates: String = column.rates.iter().map(|rate| format!("{rate:>10.0}")).collect();
        let median = column.median();
        report!("{:<60}{rates}{median:>10.0}{:>20.2}", column.name, sustained / median);
    }
    report!("whole cycle: {sustained:.0}/s sustained, {:.0} times the original's {ORIGINAL}/s", sustained / ORIGINAL);
    Ok(())
}
