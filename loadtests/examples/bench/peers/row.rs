//! What a round found.

use std::fmt;

use serde::Serialize;

/// One peer in one round; all rates are tasks per second.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) peer: &'static str,
    /// Of the peer and what it runs on.
    pub(crate) version: String,
    /// From 1; 0 for a median.
    pub(crate) round: usize,
    /// How long completions were counted for, each for `drained` and `cycle`.
    pub(crate) seconds: u64,
    /// One producer, nobody working.
    pub(crate) enqueued: f64,
    /// Workers on a backlog, nobody producing.
    pub(crate) drained: f64,
    /// Completed by workers while a producer keeps tasks waiting.
    pub(crate) cycle: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, version, enqueued, drained, cycle, .. } = self;
        write!(f, "{peer:<8} {enqueued:>10.0} {drained:>10.0} {cycle:>10.0}  {version}")
    }
}

/// One row for each peer, in the order they first appear; each rate is the median of its own column.
pub(crate) fn medians(rows: &[Row]) -> Vec<Row> {
    let mut found: Vec<Row> = Vec::new();
    for row in rows {
        if found.iter().any(|median| median.peer == row.peer) {
            continue;
        }
        let of = |rate: fn(&Row) -> f64| median(rows.iter().filter(|other| other.peer == row.peer).map(rate).collect());
        found.push(Row {
            round: 0,
            enqueued: of(|row| row.enqueued),
            drained: of(|row| row.drained),
            cycle: of(|row| row.cycle),
            ..row.clone()
        });
    }
    found
}

/// Of an even number, the mean of the middle two.
fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    let middle = rates.len() / 2;
    match rates.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(rates[middle - 1], rates[middle]),
        _ => rates[middle],
    }
}
