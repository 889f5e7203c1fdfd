//! The page around the sections: head, policy, style, script, order.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::section;
use crate::report::{chart, format};
use crate::result::Report;

/// The page's own after that of its charts: it says what is different on a narrow screen.
const STYLE: [&str; 3] = [chart::COLOURS, chart::STYLE, include_str!("style.css")];
const SCRIPT: &str = include_str!("script.js");

/// The document.
pub(super) fn page(report: &Report) -> Markup {
    let title = format!("Load test {}: {}", report.run, super::verdict::word(report.verdict));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                // Without this, browsers ask whoever serves the file for an icon.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE.concat())) }
            }
            body {
                main {
                    (section::banner(report))
                    (section::audit(report))
                    (section::promises(report))
                    (section::figures(report))
                    (section::timeline(report))
                    (section::distribution(report))
                    (section::steps(report))
                    (section::breakpoint(report))
                    (section::regression(report))
                    (section::validity(report))
                    (section::run(report))
                }
                footer {
                    p {
                        "Made by cardctl " (report.generator.version) " from the result of run " (report.run)
                        ", format " (format::count(u64::from(report.v))) ". Times marked “intended” count from when a \
                         request should have been sent, so that a wait before the request was sent is in them."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Nothing from anywhere, and of what is in the file only this style and this script.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(&STYLE.concat()),
        hash(SCRIPT)
    )
}
