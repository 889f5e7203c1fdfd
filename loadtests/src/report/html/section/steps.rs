//! The same load at several sizes.

use maud::{Markup, html};

use super::super::verdict::chip;
use super::table::{figures, table, text, words};
use super::{nothing, section};
use crate::report::chart::{Scale, Size, marks, sizes};
use crate::report::format;
use crate::report::remarks::size;
use crate::result::{Report, Step};

pub(in super::super) fn steps(report: &Report) -> Markup {
    if report.steps.is_empty() {
        let text = "The load had one size. With steps, this shows what a larger load does to the latencies.";
        return section("steps", "Steps", None, "", &nothing(text));
    }
    let bound = report.plan.max_degradation.map_or_else(
        || "How much slower than the first a step may be was not bounded.".to_owned(),
        |bound| format!("A step may be {} slower than the first.", format::percent(bound)),
    );
    let lead =
        format!("Each size ran separately. The slowdown against the first step is shown below each latency. {bound}");
    let rows: Vec<_> = report.steps.iter().map(|step| row(report, step)).collect();
    let columns = [
        words("Size"),
        words("Verdict"),
        figures("Accept p50"),
        figures("Accept p95"),
        figures("End to end p95"),
        figures("Read p95"),
        figures("Queue wait p95"),
        figures("Accepted"),
        figures("Errors"),
        figures("Samples"),
        words("Why"),
    ];
    let content = html! {
        (charts(report))
        (table("Step by step", &columns, &rows))
    };
    section("steps", "Steps", None, &lead, &content)
}

fn row(report: &Report, step: &Step) -> Vec<Markup> {
    let slower = |n: u64, value: f64, change: Option<f64>| {
        let value = if n == 0 { format::NONE.to_owned() } else { format::millis(value) };
        html! { (value) @if let Some(change) = change { small { (format::change(change)) } } }
    };
    let errors = match &step.main_error {
        Some(code) => html! { (format::percent(step.error_rate)) small { code { (code) } } },
        None => text(format::percent(step.error_rate)),
    };
    let read = step.reads.as_ref().map(|reads| reads.ms).unwrap_or_default();
    vec![
        text(size(report, step)),
        chip(step.verdict),
        slower(step.n, step.accept_p50, step.degradation_p50),
        slower(step.n, step.accept_p95, step.degradation),
        slower(step.e2e_n, step.e2e_p95, step.degradation_e2e),
        slower(read.n, read.p95, step.degradation_read),
        slower(step.e2e_n, step.queue_wait_p95, None),
        text(format::rate(step.rates.accepted)),
        errors,
        text(format::count(step.n)),
        why(step),
    ]
}

fn why(step: &Step) -> Markup {
    match (&step.broke, &step.ended_early) {
        (None, None) => text(format::NONE),
        (broke, early) => html! {
            @if let Some(broke) = broke { (broke) }
            @if let Some(rule) = early { small { "ended early: " (rule) } }
        },
    }
}

/// A search for the limit comes back to smaller sizes, so the steps are put in order first.
fn charts(report: &Report) -> Markup {
    let key = |step: &Step| step.users.map(|users| users as f64).or(step.rate).unwrap_or(0.0);
    let mut ordered: Vec<&Step> = report.steps.iter().collect();
    ordered.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let with = |values: fn(&Step) -> Vec<f64>| -> Vec<Size> {
        ordered
            .iter()
            .map(|step| Size { label: size(report, step), values: values(step), verdict: step.verdict })
            .collect()
    };
    let millis: fn(&Scale, f64) -> String = Scale::millis;
    html! {
        div.pair {
            (sizes("size-latency", "p95 by size", &[("accept", "accepted"), ("end to end", "completed")],
                &with(|step| vec![step.accept_p95, step.e2e_p95]), millis))
            (sizes("size-rates", "Throughput by size, a second", &["offered", "accepted", "completed"].map(|name| (name, name)),
                &with(|step| vec![step.rates.offered, step.rates.accepted, step.rates.completed]),
                |_, value| format::number(value)))
        }
        (marks())
    }
}
