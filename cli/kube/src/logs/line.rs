//! One line, as it comes.

use jiff::Timestamp;
use serde::Serialize;

/// What a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Its label `app.kubernetes.io/name`; the pod's name if it has none.
    pub component: String,
    /// When it was written, by the node's clock.
    pub time: Option<Timestamp>,
    /// Without the end of the line, and without control characters.
    pub text: String,
}

/// The time that the API server puts before a line, and the rest.
pub(super) fn split(raw: &[u8]) -> (Option<Timestamp>, String) {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_end_matches(['\n', '\r']);
    match text.split_once(' ').map(|(time, rest)| (time.parse(), rest)) {
        Some((Ok(time), rest)) => (Some(time), plain(rest)),
        // A line without any text is only its time.
        None if !text.is_empty() && text.parse::<Timestamp>().is_ok() => (text.parse().ok(), String::new()),
        _ => (None, plain(text)),
    }
}

/// Without what a terminal would obey: a program in the cluster must not colour, clear or type on ours.
#[must_use]
pub fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_sequence(&mut letters),
            '\t' => plain.push(letter),
            letter if letter.is_control() => {}
            letter => plain.push(letter),
        }
    }
    plain
}

/// `ESC [ … letter` and `ESC ] … BEL`; any other is one letter more.
fn skip_sequence(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match letters.next() {
        Some('[') => {
            for letter in letters.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&letter) {
                    return;
                }
            }
        }
        Some(']') => {
            while let Some(letter) = letters.next() {
                if letter == '\u{7}' {
                    return;
                }
                if letter == '\u{1b}' {
                    letters.next_if_eq(&'\\');
                    return;
                }
            }
        }
        _ => {}
    }
}
