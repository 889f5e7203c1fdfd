//! The figures that are asked for first.

use maud::{Markup, html};

use super::table::{Column, code, figures as number, table, text, words};
use super::{nothing, section};
use crate::report::format;
use crate::result::Report;
use card_client::latency::Percentiles;

const LEAD: &str = "Over the measured time: what came before it, the first ramp, is not in them.";

pub(in super::super) fn figures(report: &Report) -> Markup {
    let rates = &report.rates;
    let content = html! {
        div.tiles {
            (tile("Accepted", &format::rate(rates.accepted), &format!("of {} sent", format::rate(rates.offered))))
            (tile("Completed", &format::rate(report.rates.completed), "became final"))
            (tile("Accept p95", &figure(&report.accept_intended_ms, |read| read.p95), "request to 202, intended"))
            (tile("End to end p95", &figure(&report.e2e_intended_ms, |read| read.p95), "request to final, intended"))
            @if let Some(reads) = &report.reads {
                (tile("Read p95", &figure(&reads.ms, |read| read.p95), &format!("{} read", format::rate(reads.rate))))
            }
            (tile("Errors", &format::percent(report.errors.rate), "of the requests sent"))
        }
        (latencies(report))
        @if let Some(reads) = &report.reads {
            p.where { "Reads: " (format::reads(reads)) "." }
        }
        (where_it_goes(report))
        (errors(report))
        (on_the_way(report))
    };
    section("figures", "Key figures", None, LEAD, &content)
}

fn tile(name: &str, value: &str, text: &str) -> Markup {
    html! { div.figure-tile { span.name { (name) } span.number { (value) } span.text { (text) } } }
}

fn latencies(report: &Report) -> Markup {
    let rows = [
        ("Accept, intended", "from when it should have been sent to 202", &report.accept_intended_ms),
        ("Accept, service", "from when it was sent to 202", &report.accept_ms),
        ("End to end, intended", "from when it should have been sent to the final status", &report.e2e_intended_ms),
        ("End to end, service", "from when it was sent to the final status", &report.e2e_ms),
        ("Queue wait", "accepted until the last attempt began", &report.queue_wait_ms),
        ("Work", "the last attempt", &report.work_ms),
    ];
    let looked = report.status_ms.as_ref().map(|read| ("Status", "a look at a task's status", read));
    let reads = report.reads.as_ref().map(|reads| ("Read", "a read of what the user has", &reads.ms));
    let rows: Vec<_> =
        rows.into_iter().chain(looked).chain(reads).map(|(name, meaning, read)| row(name, meaning, read)).collect();
    let columns: [Column; 8] = [
        words("Latency"),
        number("p50"),
        number("p90"),
        number("p95"),
        number("p99"),
        number("max"),
        number("mean"),
        number("Samples"),
    ];
    table("Latencies", &columns, &rows)
}

fn row(name: &str, meaning: &str, read: &Percentiles) -> Vec<Markup> {
    let mut cells = vec![html! { (name) small { (meaning) } }];
    for value in [read.p50, read.p90, read.p95, read.p99, read.max, read.mean] {
        cells.push(text(figure(read, |_| value)));
    }
    cells.push(text(format::count(read.n)));
    cells
}

fn figure(read: &Percentiles, pick: impl Fn(&Percentiles) -> f64) -> String {
    if read.n == 0 { format::NONE.to_owned() } else { format::millis(pick(read)) }
}

/// Means can be added up, percentiles can't: of the mean end, how much was waiting and how much was work.
fn where_it_goes(report: &Report) -> Markup {
    let (whole, wait, work) = (&report.e2e_ms, &report.queue_wait_ms, &report.work_ms);
    if whole.n == 0 || wait.n == 0 || work.n == 0 || whole.mean <= 0.0 {
        return html! {};
    }
    let share = |mean: f64| format::percent((mean / whole.mean).clamp(0.0, 1.0));
    html! {
        p.where {
            "Where the time goes: of a mean of " strong { (format::millis(whole.mean)) } " end to end, "
            strong { (share(wait.mean)) } " is waiting in the queue (" (format::millis(wait.mean)) ") and "
            strong { (share(work.mean)) } " is work (" (format::millis(work.mean)) "); "
            "the rest is sending, accepting and hearing of it."
        }
    }
}

fn errors(report: &Report) -> Markup {
    if report.errors.by_code.is_empty() {
        return nothing(match report.rates.offered {
            0.0 => "No errors: in the measured time nothing was sent.",
            _ if report.errors.rate > 0.0 => "The result does not say what the errors were.",
            _ => "No errors: every request was accepted or answered.",
        });
    }
    let mut codes: Vec<_> = report.errors.by_code.iter().collect();
    codes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let all: u64 = codes.iter().map(|(_, number)| **number).sum();
    let rows: Vec<_> = codes
        .into_iter()
        .map(|(name, number)| {
            let share = *number as f64 / (all as f64).max(1.0);
            vec![code(name), text(format::count(*number)), text(format::percent(share))]
        })
        .collect();
    table("Requests that failed, by code", &[words("Code"), number("Requests"), number("Of the errors")], &rows)
}

/// What was answered in the platform's place, and what was sent again.
fn on_the_way(report: &Report) -> Markup {
    let errors = &report.errors;
    let rows: Vec<_> =
        errors.by_gateway.iter().map(|(name, number)| vec![code(name), text(format::count(*number))]).collect();
    html! {
        @if !rows.is_empty() {
            (table(
                "Answers that came from a proxy in front of the platform, by status",
                &[words("Status"), number("Answers")],
                &rows,
            ))
        }
        @if errors.resent > 0 {
            p {
                (format::count(errors.repeated)) " requests were sent again, " (format::count(errors.resent))
                " times in all, because no answer of the platform told whether they were accepted."
            }
        }
    }
}
