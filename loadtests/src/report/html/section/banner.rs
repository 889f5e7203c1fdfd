//! The answer, and the four verdicts that it is made of.

use maud::{Markup, html};

use super::super::verdict::{chip, class, mark, word, worst};
use crate::judge;
use crate::plan::Model;
use crate::report::format;
use crate::result::{Report, Verdict};

pub(in super::super) fn banner(report: &Report) -> Markup {
    let promises = report.slo.iter().map(|slo| slo.verdict);
    let kept = report.slo.iter().filter(|slo| slo.verdict == Verdict::Pass).count();
    let found = &report.correctness;
    let unsound: u64 = found.wrong().iter().map(|(count, _)| count).sum();
    let sound = found.sound();
    let audit = if unsound > 0 {
        format!("{} not completed exactly once", format::count(unsound))
    } else {
        format!("{} of {} sound", format::count(sound), format::count(found.accepted))
    };
    let believed = match report.validity.verdict {
        Verdict::Pass => "the measurements are valid",
        _ => "the measurements are of limited use",
    };
    let compared = report.regression.as_ref().map(|regression| match &regression.baseline_run {
        Some(run) => format!("against run {run}"),
        None => format!("against {}", regression.baseline),
    });
    html! {
        header.banner.(class(report.verdict)) {
            div.title {
                h1 { "Load test " span.run { (report.run) } }
                p { (course(report)) }
            }
            div.verdict {
                (mark(report.verdict))
                div {
                    p.word { (word(report.verdict)) " " span.exit { "exit code " (report.exit) } }
                    p.why { (sentence(&judge::why(report))) }
                }
            }
            nav aria-label="The verdicts" {
                (tile("#audit", "Audit", Some(found.verdict), &audit))
                (tile("#promises", "SLOs", worst(promises), &match report.slo.len() {
                    0 => "none were made".to_owned(),
                    n => format!("{kept} of {n} kept"),
                }))
                (tile("#regression", "Baseline", report.regression.as_ref().map(|regression| regression.verdict),
                    compared.as_deref().unwrap_or("none was asked for")))
                (tile("#validity", "Validity", Some(report.validity.verdict), believed))
            }
        }
    }
}

fn tile(link: &str, name: &str, verdict: Option<Verdict>, text: &str) -> Markup {
    html! {
        a.tile href=(link) {
            span.name { (name) }
            @match verdict {
                Some(verdict) => (chip(verdict)),
                None => span.chip.none { "not judged" },
            }
            span.text { (text) }
        }
    }
}

/// What was done, in a line.
fn course(report: &Report) -> String {
    let plan = &report.plan;
    let sizes: Vec<f64> = match (report.steps.as_slice(), plan.steps.as_slice()) {
        ([], []) => vec![plan.peak(1.0)],
        ([], sizes) => sizes.iter().map(|size| plan.peak(*size)).collect(),
        (steps, _) => steps.iter().filter_map(|step| step.users.map(|users| users as f64).or(step.rate)).collect(),
    };
    let (low, high) =
        sizes.iter().fold((f64::MAX, 0.0), |(low, high), size| (f64::min(low, *size), f64::max(high, *size)));
    let size = match plan.model {
        _ if low >= high => format::size(plan.model, high),
        Model::Closed => format!("{} to {}", format::number(low), format::size(plan.model, high)),
        Model::Open => format!("{} to {}", format::rate(low), format::rate(high)),
    };
    let preset = plan.preset.as_ref().map_or_else(String::new, |preset| format!("{preset}, "));
    let model = match plan.model {
        Model::Closed => "closed model",
        Model::Open => "open model",
    };
    let took = format::whole_millis(report.took_ms);
    let started = readable(&report.started_at);
    format!("{preset}{size}, {model}, {took} against {}, {started}", report.target)
}

/// `2026-03-14 10:14:44 UTC`; what is written in another way stays as it is.
fn readable(at: &str) -> String {
    match at.strip_suffix('Z').and_then(|at| at.split_once('T')) {
        Some((date, time)) => format!("{date} {} UTC", time.split('.').next().unwrap_or(time)),
        None => at.to_owned(),
    }
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}
