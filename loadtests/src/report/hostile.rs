//! Whatever text a result holds, no report of it acts: not on a terminal, not as a command of a CI system, not as XML that
//! can't be read.

use card_core::plain;
use serde_json::Value;

use super::{comparison, fixture, github, html, junit, markdown};
use crate::result::Report;

const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\r\n::error::forged\n##[error]\r\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\u{0}\u{fffe}\u{e0041}y";

/// The places of all texts in a document.
fn texts(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                texts(field, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_text_of_a_result_acts_in_any_report_of_it() {
    let document = serde_json::to_value(fixture::report()).unwrap();
    let mut places = Vec::new();
    texts(&document, String::new(), &mut places);
    let mut tried = Vec::new();
    for place in &places {
        let mut changed = document.clone();
        *changed.pointer_mut(place).unwrap() = HOSTILE.into();
        // A word of a closed list takes no other.
        let Ok(report) = serde_json::from_value::<Report>(changed) else { continue };
        tried.push(place.as_str());
        let mut written = vec![
            ("html", html::render(&report)),
            ("markdown", markdown::render(&report)),
            ("junit", junit::render(&report)),
        ];
        written.push(("summary", github::summary(&report)));
        if let Some(regression) = &report.regression {
            written.push(("comparison", comparison::text(regression)));
            written.push(("comparison in Markdown", comparison::markdown(regression)));
        }
        for annotation in github::annotations(&report, HOSTILE) {
            assert!(annotation.starts_with("::") && !annotation.contains('\n'), "{place}: {annotation:?}");
            written.push(("annotation", annotation));
        }
        for (kind, text) in written {
            let acting: Vec<_> =
                text.chars().filter(|letter| plain::acts(*letter) && !matches!(letter, '\n' | '\t')).collect();
            assert!(acting.is_empty(), "{kind} of {place}: {acting:?}");
            let forged = text.lines().any(|line| line.trim_start().starts_with("::error::forged"));
            assert!(!forged, "{kind} of {place}: {text}");
        }
        quick_junit::Report::deserialize_from_str(&junit::render(&report)).unwrap();
    }
    for place in ["/target", "/run", "/correctness/findings/0/detail", "/platform/url"] {
        assert!(tried.contains(&place), "{place} is not among {tried:?}");
    }
}
