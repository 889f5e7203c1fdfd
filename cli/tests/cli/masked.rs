//! Takes ids, times and spans out of a transcript, and the padding that depends on them.

use regex::Regex;

pub(crate) fn masked(text: &str) -> String {
    let filters = [
        (r"(tsk|usr|run)_[0-9a-f-]{32,36}", "[$1]"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[TIME]"),
        (r"\d+(\.\d+)? (ms|s)\b", "[SPAN]"),
        (r#""(card_ref|last4|network)":"[^"]*""#, r#""$1":"…""#),
        (r"--(from|cursor) \d+", "--$1 [N]"),
        (r"seed \d+", "seed [N]"),
        (r"request: [0-9a-f]{32}", "request: [ID]"),
        (r" {2,}", "  "),
        (r"(?m) +$", ""),
    ];
    filters.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}
