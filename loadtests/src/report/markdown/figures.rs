//! What was promised and what was measured.

use super::escape;
use crate::report::format::{self, NONE, actual, count, millis, percent, point, rate};
use crate::report::remarks::word;
use crate::report::table::{Side, Table};
use crate::result::Report;
use card_client::latency::Percentiles;

pub(super) fn promises(report: &Report) -> Option<String> {
    if report.slo.is_empty() {
        return None;
    }
    let mut table = Table::new([
        ("SLO", Side::Left),
        ("measured", Side::Right),
        ("samples", Side::Right),
        ("verdict", Side::Left),
        ("broken", Side::Left),
    ]);
    for promise in &report.slo {
        let broken = promise.broken_s.map(|(from, to)| format!("{} to {}", point(from), point(to)));
        table.row([
            escape::code(&promise.expr),
            actual(&report.plan, promise),
            count(promise.n),
            word(promise.verdict).to_owned(),
            broken.unwrap_or_default(),
        ]);
    }
    Some(format!("## Promises\n\n{}", table.markdown()))
}

pub(super) fn latencies(report: &Report) -> String {
    let mut table = Table::new([
        ("latency", Side::Left),
        ("n", Side::Right),
        ("p50", Side::Right),
        ("p90", Side::Right),
        ("p95", Side::Right),
        ("p99", Side::Right),
        ("max", Side::Right),
    ]);
    let mut row = |name: &str, measured: &Percentiles| {
        let Percentiles { n, p50, p90, p95, p99, max, .. } = *measured;
        let figures = [p50, p90, p95, p99, max].map(|value| if n == 0 { NONE.to_owned() } else { millis(value) });
        table.row([name.to_owned(), count(n)].into_iter().chain(figures));
    };
    row("accept", &report.accept_intended_ms);
    row("accept, as sent", &report.accept_ms);
    row("e2e", &report.e2e_intended_ms);
    row("e2e, as sent", &report.e2e_ms);
    row("queue wait", &report.queue_wait_ms);
    row("work", &report.work_ms);
    if let Some(status) = &report.status_ms {
        row("status", status);
    }
    if let Some(reads) = &report.reads {
        row("read", &reads.ms);
    }
    format!(
        "## Latencies\n\n{}\nAccept is request to 202, e2e is request to final status. Both count from when the request \
         should have been sent (free of coordinated omission), and again from when it was.\n",
        table.markdown()
    )
}

pub(super) fn rates(report: &Report) -> String {
    let rates = &report.rates;
    let mut text = format!(
        "## Rates and errors\n\nOffered {}, accepted {}, completed {}. Errors: {} of the requests.\n",
        rate(rates.offered),
        rate(rates.accepted),
        rate(rates.completed),
        percent(report.errors.rate)
    );
    if let Some(reads) = &report.reads {
        text += &format!("\nReads: {}.\n", format::reads(reads));
    }
    if !report.errors.by_code.is_empty() {
        let mut table = Table::new([("error", Side::Left), ("requests", Side::Right)]);
        for (code, requests) in &report.errors.by_code {
            table.row([escape::text(code), count(*requests)]);
        }
        text += "\n";
        text += &table.markdown();
    }
    if !report.errors.by_gateway.is_empty() {
        let answers = report.errors.by_gateway.iter();
        let answers: Vec<_> = answers.map(|(name, n)| format!("{} {}", count(*n), escape::text(name))).collect();
        text += &format!("\nAnswered by a proxy in front of the platform: {}.\n", answers.join(", "));
    }
    if report.errors.resent > 0 {
        let [repeated, resent] = [report.errors.repeated, report.errors.resent].map(count);
        text += &format!("\n{repeated} requests were sent again, {resent} times in all.\n");
    }
    text
}
