//! What must hold of the whole file.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;
use sha2::{Digest, Sha256};

use super::render;
use crate::report::fixture;
use crate::result::{Audit, Phase, Rates, Report, Sample, Validity, Verdict};

const SECTIONS: [&str; 10] = [
    "audit",
    "promises",
    "figures",
    "timeline",
    "distribution",
    "steps",
    "breakpoint",
    "regression",
    "validity",
    "run",
];

#[test]
fn every_section_appears_in_the_order_in_which_one_doubts() {
    for report in [fixture::report(), fixture::empty()] {
        let page = render(&report);
        let places =
            SECTIONS.map(|id| page.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}")));
        assert!(places.is_sorted(), "{places:?}");
    }
}

#[test]
fn what_is_missing_is_said_in_words() {
    let page = render(&fixture::empty());
    for words in [
        "Nothing was accepted, so there is nothing to account for.",
        "No findings in the verified part.",
        "No SLOs were set",
        "No errors: in the measured time nothing was sent.",
        "There is no timeline",
        "No latencies were measured.",
        "The load had one size.",
        "This run did not search for a limit.",
        "There was no baseline to compare with.",
        "The result does not give a reason.",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn who_made_the_load_is_shown_if_several_did() {
    let several = render(&fixture::report());
    assert!(several.contains("Load generators") && several.contains("12% of 8 cores"));
    assert!(!render(&fixture::empty()).contains("Load generators"));
}

#[test]
fn what_is_well_is_said_only_if_it_was_looked_at() {
    let well = ["nothing was lost", "every request was accepted", "Nothing limits the validity of the measurements."];
    let sound = Audit { verdict: Verdict::Pass, accepted: 9, succeeded: 9, ..Default::default() };
    let report = Report {
        correctness: sound,
        rates: Rates { offered: 1.0, accepted: 1.0, completed: 1.0 },
        validity: Validity { verdict: Verdict::Pass, ..Default::default() },
        ..fixture::empty()
    };
    let (looked, not) = (render(&report), render(&fixture::empty()));
    for words in well {
        assert!(looked.contains(words) && !not.contains(words), "{words}");
    }
}

#[test]
fn figures_stand_in_the_page_as_people_write_them() {
    let page = render(&fixture::report());
    for figure in
        ["16,794 accepted = 16,310 succeeded + 452 declined", "exit code 9", "2.31 s", "missed by 15.5%", "+110%"]
    {
        assert!(page.contains(figure), "{figure}");
    }
}

#[test]
fn no_text_of_the_result_gets_out_of_its_place() {
    const EVIL: &str = "</script></style></title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let json = serde_json::to_value(fixture::report()).unwrap();
    let mut report: Report = serde_json::from_value(json).unwrap();
    report.run = EVIL.to_owned();
    report.target = EVIL.to_owned();
    report.started_at = EVIL.to_owned();
    report.ended_early = Some(EVIL.to_owned());
    report.platform.url = EVIL.to_owned();
    report.platform.version = Some(EVIL.to_owned());
    report.generator.version = EVIL.to_owned();
    report.plan.preset = Some(EVIL.to_owned());
    report.errors.by_code = BTreeMap::from([(EVIL.to_owned(), 1)]);
    report.correctness.unverified_reason = Some(EVIL.to_owned());
    for finding in &mut report.correctness.findings {
        (finding.task, finding.verdict, finding.detail) = (EVIL.to_owned(), EVIL.to_owned(), EVIL.to_owned());
    }
    for (promise, result) in report.plan.slo.iter_mut().zip(&mut report.slo) {
        (promise.text, result.expr) = (EVIL.to_owned(), EVIL.to_owned());
    }
    for step in &mut report.steps {
        (step.main_error, step.broke) = (Some(EVIL.to_owned()), Some(EVIL.to_owned()));
        step.ended_early = Some(EVIL.to_owned());
    }
    report.validity.reasons = vec![EVIL.to_owned()];
    report.validity.notes = vec![EVIL.to_owned(); 2];
    report.validity.stream_lost = Some(EVIL.to_owned());
    (report.generators[0].reasons, report.generators[1].missing) = (vec![EVIL.to_owned()], Some(EVIL.to_owned()));
    let found = report.breakpoint.as_mut().unwrap();
    (found.broke, found.limit, found.because) = (Some(EVIL.to_owned()), Some(EVIL.to_owned()), Some(EVIL.to_owned()));
    let regression = report.regression.as_mut().unwrap();
    (regression.baseline, regression.baseline_run) = (EVIL.to_owned(), Some(EVIL.to_owned()));
    (regression.unlike, regression.notes) = (vec![EVIL.to_owned()], vec![EVIL.to_owned()]);
    regression.changes[0].figure = EVIL.to_owned();
    let page = render(&report);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<img") && !page.contains("\"'>"));
    assert!(!attributes(&page).contains("onerror"));
    well_formed(&page);
}

#[test]
fn the_file_asks_nobody_for_anything() {
    let links = Regex::new(r#"\b(?:src|srcset|href|action|poster|data|background)="([^"]*)""#).unwrap();
    for report in [fixture::report(), fixture::empty()] {
        let page = render(&report);
        for tag in tags(&page) {
            for link in links.captures_iter(tag) {
                assert!(link[1].starts_with('#') || &link[1] == "data:,", "{tag}");
            }
        }
        for part in [between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>")] {
            for word in ["url(", "@import", "http:", "https:", "fetch(", "import(", "XMLHttpRequest"] {
                assert!(!part.contains(word), "{word}");
            }
        }
    }
}

#[test]
fn the_policy_lets_nothing_run_but_what_is_in_the_file() {
    let page = render(&fixture::report());
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\">").replace("&#39;", "'");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for (name, open, close) in [("style", "<style>", "</style>"), ("script", "<script>", "</script>")] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(between(&page, open, close)));
        assert!(policy.contains(&format!("{name}-src 'sha256-{hash}'")), "{policy}");
    }
    // It would not let these take effect.
    let names = attributes(&page);
    assert_eq!(names.iter().find(|name| *name == "style" || name.starts_with("on")), None);
}

#[test]
fn every_element_is_closed_and_every_name_is_somebodys() {
    for report in [fixture::report(), fixture::empty()] {
        well_formed(&render(&report));
    }
}

#[test]
fn hours_are_drawn_in_less_than_a_megabyte_with_every_peak() {
    let second = fixture::report().timeline[44].clone();
    let mut timeline: Vec<Sample> = (1..=14_400).map(|t| Sample { t: f64::from(t), ..second.clone() }).collect();
    // Numbers that differ, so that nothing is short by chance.
    for (at, sample) in timeline.iter_mut().enumerate() {
        sample.accept_p99 = Some(20.0 + (at as f64 * 0.37).sin() * 9.123);
        sample.e2e_p99 = Some(1900.0 + (at as f64 * 0.73).sin() * 91.23);
    }
    timeline[7001].accept_p99 = Some(777.0);
    timeline[9002].e2e_p99 = None;
    let page = render(&Report { timeline, ..fixture::report() });
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(page.contains("=777 ms|"));
}

/// With `LOADTEST_PAGES=DIR` they are written there, to be looked at.
#[test]
fn every_page_is_whole() {
    let soak = || {
        let again = |t: u32| fixture::report().timeline[(t % 90) as usize].clone();
        (1..=14_400).map(|t| Sample { t: f64::from(t), phase: phase(t), ..again(t) }).collect()
    };
    let soaked = Report { steps: Vec::new(), timeline: soak(), ..fixture::report() };
    for (name, report) in [("report", fixture::report()), ("empty", fixture::empty()), ("soak", soaked)] {
        let page = render(&report);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{name}");
        assert!(!page.contains("NaN") && !page.contains("inf%"), "{name}");
        if let Some(dir) = std::env::var_os("LOADTEST_PAGES") {
            std::fs::write(std::path::Path::new(&dir).join(format!("loadtest-{name}.html")), page).unwrap();
        }
    }
}

fn phase(t: u32) -> Phase {
    match t {
        ..=300 => Phase::Ramp,
        301..=14_340 => Phase::Steady,
        _ => Phase::Drain,
    }
}

fn between<'a>(page: &'a str, open: &str, close: &str) -> &'a str {
    page.split_once(open).and_then(|(_, rest)| rest.split_once(close)).unwrap_or_else(|| panic!("no {open}")).0
}

/// All tags, without what stands in the style and in the script.
fn tags(page: &str) -> Vec<&str> {
    let raw = Regex::new(r#"<(?:/?[a-zA-Z!][^\s>]*)(?:\s+[^\s=>"]+(?:="[^"]*")?)*\s*>"#).unwrap();
    raw.find_iter(page).map(|tag| tag.as_str()).collect()
}

/// The names of all attributes.
fn attributes(page: &str) -> BTreeSet<String> {
    let attribute = Regex::new(r#"\s([^\s=>"]+)(?:="[^"]*")?"#).unwrap();
    tags(page).iter().flat_map(|tag| attribute.captures_iter(tag)).map(|found| found[1].to_owned()).collect()
}

fn well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in tags(page) {
        let name = tag.trim_matches(['<', '>', '/']).split_whitespace().next().unwrap();
        match tag.strip_prefix("</") {
            Some(_) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if matches!(name, "!DOCTYPE" | "meta" | "link") => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    let ids: Vec<&str> = values(page, "id").collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    let referred = values(page, "aria-labelledby").flat_map(str::split_whitespace);
    for id in referred.chain(values(page, "href").filter_map(|link| link.strip_prefix('#'))) {
        assert!(unique.contains(id), "{id}");
    }
}

/// The values of an attribute.
fn values<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let attribute = format!(" {name}=\"");
    tags(page).into_iter().filter_map(move |tag| Some(tag.split_once(&attribute)?.1.split_once('"')?.0))
}
