//! Whether the measurements are valid.

use maud::{Markup, html};

use super::table::{table, text};
use super::{facts, list, nothing, section};
use crate::plan::Model;
use crate::report::{crew, format};
use crate::result::{Report, Validity, Verdict};

const LEAD: &str =
    "A saturated generator, a missed rate or a gap in the observation measures the generator, not the platform.";

pub(in super::super) fn validity(report: &Report) -> Markup {
    let found = &report.validity;
    let content = html! {
        @if found.reasons.is_empty() { (nothing(unopposed(found.verdict))) }
        @else { div.warning { (list(&found.reasons)) } }
        (facts(&measured(found, report.plan.model)))
        @if !report.generators.is_empty() {
            h3 { "Load generators" }
            (generators(report))
        }
        @if !found.notes.is_empty() {
            h3 { "To know when reading them" }
            (list(&found.notes))
        }
    };
    section("validity", "Validity", Some(found.verdict), LEAD, &content)
}

fn generators(report: &Report) -> Markup {
    let rows: Vec<_> = crew::rows(report).map(|row| row.iter().map(text).collect()).collect();
    table("What each generator did", &crew::COLUMNS, &rows)
}

fn unopposed(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Nothing limits the validity of the measurements.",
        _ => "The result does not give a reason.",
    }
}

fn measured(found: &Validity, model: Model) -> Vec<(&'static str, Markup)> {
    let mut facts = vec![
        (
            "Generator's processor",
            text(format!(
                "{} mean, {} at most",
                format::percent(found.generator_cpu),
                format::percent(found.generator_cpu_max)
            )),
        ),
        ("Machine's processor", text(found.machine_cpu.map_or_else(|| "can't be read".to_owned(), format::percent))),
        ("Late starts", text(format!("{} by more than 10 ms", format::percent(found.late_starts)))),
        ("Lateness p99", text(format::millis(found.late_p99_ms))),
        (
            "Sent of what was planned",
            text(found.offered_ratio.map_or_else(|| unplanned(model).to_owned(), format::percent)),
        ),
        ("Held back", text(several(found.held_back, "arrival"))),
        ("Not sent by this machine", text(unsent(found))),
        ("Stood still", text(format::millis(found.stood_still_s * 1000.0))),
        (
            "Event stream",
            text(format!("{}, {}", several(found.stream_gaps, "gap"), several(found.stream_reconnects, "reconnect"))),
        ),
    ];
    if let Some(stolen) = found.stolen {
        facts.push(("Given to others by the host", text(format::percent(stolen))));
    }
    if let Some(throttled) = found.throttled {
        facts.push(("Periods without processor time left", text(format::percent(throttled))));
    }
    if let Some(lost) = &found.stream_lost {
        facts.push(("Event stream lost", text(lost)));
    }
    facts
}

/// How many, and what was missing.
fn unsent(found: &Validity) -> String {
    let lacks: Vec<_> = found.by_lack.iter().map(|(name, count)| format!("{} {name}", format::count(*count))).collect();
    match lacks.is_empty() {
        true => several(found.unsent, "request"),
        false => format!("{} ({})", several(found.unsent, "request"), lacks.join(", ")),
    }
}

fn unplanned(model: Model) -> &'static str {
    match model {
        Model::Closed => "not planned in the closed model",
        Model::Open => format::NONE,
    }
}

fn several(number: u64, name: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {name}{plural}", format::count(number))
}
