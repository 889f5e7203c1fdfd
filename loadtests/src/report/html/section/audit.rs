//! Whether what was accepted was done, once.

use maud::{Markup, html};

use super::table::{code, table, text, words};
use super::{facts, nothing, section};
use crate::report::format;
use crate::result::{Audit, Report, Verdict};

const LEAD: &str = "The sender's journal of accepted requests, compared with the platform's records.";

pub(in super::super) fn audit(report: &Report) -> Markup {
    let found = &report.correctness;
    let content = html! {
        (equation(found))
        (bar(found))
        @if found.accepted > 0 { p.check { (check(found)) } }
        @if found.reads > 0 {
            p.check {
                (format::count(found.reads)) " reads were compared with what their users knew: "
                (format::count(found.stale)) " stale."
            }
        }
        (facts(&[
            ("Drain", text(format!("{} until the last completion", format::whole_millis(found.drain_ms)))),
            ("Settle window", html! {
                (format::whole_millis(found.settle_ms)) " of watching for late and duplicate events"
            }),
            ("Audit", text(format::whole_millis(found.audit_ms))),
            ("Unanswered", text(match found.unanswered {
                0 => "none: every request got its answer".to_owned(),
                n => format!("{}: it is unknown whether they were accepted", format::count(n)),
            })),
        ]))
        @if let Some(reason) = &found.unverified_reason {
            p.warning { strong { "Not verified: " } (reason) }
        }
        (findings(found))
    };
    section("audit", "Audit", Some(found.verdict), LEAD, &content)
}

/// The parts of the equation: name, number, style.
fn parts(found: &Audit) -> [(&'static str, u64, &'static str); 8] {
    [
        ("succeeded", found.succeeded, "succeeded"),
        ("declined", found.declined, "declined"),
        ("dead", found.dead, "dead"),
        ("cancelled", found.cancelled, "cancelled"),
        ("lost", found.lost, "bad"),
        ("duplicate", found.duplicate, "bad"),
        ("stuck", found.stuck, "bad"),
        ("unverified", found.unverified, "unsure"),
    ]
}

fn equation(found: &Audit) -> Markup {
    html! {
        div.equation role="math" aria-label=(said(found)) {
            div.term.whole { span.number { (format::count(found.accepted)) } span.name { "accepted" } }
            @for (at, (name, number, style)) in parts(found).into_iter().enumerate() {
                span.operator { @if at == 0 { "=" } @else { "+" } }
                div.term.(style).zero[number == 0] { span.number { (format::count(number)) } span.name { (name) } }
            }
        }
    }
}

fn said(found: &Audit) -> String {
    let parts = parts(found).map(|(name, number, _)| format!("{} {name}", format::count(number)));
    format!("{} accepted = {}", format::count(found.accepted), parts.join(" + "))
}

/// The parts as lengths. What is not sound is never too thin to be seen.
fn bar(found: &Audit) -> Markup {
    const THINNEST: f64 = 0.6;
    let sum: u64 = parts(found).iter().map(|part| part.1).sum();
    if sum == 0 {
        return nothing("Nothing was accepted, so there is nothing to account for.");
    }
    let wide: Vec<f64> = parts(found)
        .iter()
        .map(|part| if part.1 == 0 { 0.0 } else { f64::max(part.1 as f64 * 100.0 / sum as f64, THINNEST) })
        .collect();
    let whole: f64 = wide.iter().sum();
    let begins = wide.iter().scan(0.0, |at, wide| {
        *at += wide;
        Some(*at - wide)
    });
    let place = |value: f64| format!("{:.2}%", value * 100.0 / whole);
    html! {
        svg.shares width="100%" height="14" role="img" aria-labelledby="shares-title shares-desc" {
            title id="shares-title" { "Shares of accepted requests" }
            desc id="shares-desc" { (said(found)) }
            @for (((_, number, style), wide), begin) in parts(found).iter().zip(&wide).zip(begins) {
                @if *number > 0 { rect.(style) x=(place(begin)) width=(place(*wide)) height="14" {} }
            }
        }
    }
}

/// Whether the equation holds: nobody should have to add it up.
fn check(found: &Audit) -> String {
    let sum: u64 = parts(found).iter().map(|part| part.1).sum();
    if sum == found.accepted {
        "The parts add up to the accepted requests.".to_owned()
    } else if sum > found.accepted {
        let beyond = format::count(sum - found.accepted);
        format!(
            "The parts exceed the accepted requests by {beyond}: tasks that were never requested count as duplicates."
        )
    } else {
        let missing = format::count(found.accepted - sum);
        format!("The parts do not add up: {missing} of the accepted tasks are in none of them.")
    }
}

fn findings(found: &Audit) -> Markup {
    let unsound: u64 = found.wrong().iter().map(|(count, _)| count).sum();
    if found.findings.is_empty() {
        return match unsound {
            0 if found.verdict == Verdict::Pass => {
                nothing("No findings: nothing was lost, duplicated or left pending.")
            }
            0 => nothing("No findings in the verified part."),
            _ => nothing("The result does not name the affected tasks."),
        };
    }
    let rows: Vec<_> = found
        .findings
        .iter()
        .map(|finding| vec![code(&finding.task), html! { strong.bad { (finding.verdict) } }, text(&finding.detail)])
        .collect();
    let shown = found.findings.len() as u64;
    let caption = if shown < unsound {
        format!("Findings: {} of {}", format::count(shown), format::count(unsound))
    } else {
        "Findings".to_owned()
    };
    table(&caption, &[words("Task"), words("Verdict"), words("Evidence")], &rows)
}
