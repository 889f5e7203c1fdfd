//! Text of others, made plain: what it says is shown, and nothing in it acts.
//!
//! A server's answer, a task's error, a worker's host, a name in a cluster may hold escape sequences that repaint a terminal,
//! line breaks that forge lines of a log or commands of a CI system, and marks that turn the order of letters around. Whatever
//! leaves a process for a terminal, a log or a report goes through here; what is escaped is escaped as JSON does (`\u001b`), so
//! it can be read and can't be mistaken.

use std::borrow::Cow;
use std::fmt::Write;

/// One line: line breaks are escaped, too. A tab is a space.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| match letter {
        '\t' => Some(" "),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        _ => None,
    })
}

/// Any number of lines: line breaks and tabs stay. One with a carriage return is a line break like another.
#[must_use]
pub fn block(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        return Cow::Owned(block(&text.replace("\r\n", "\n").replace('\r', "\\r")).into_owned());
    }
    escaped(text, |letter| match letter {
        '\n' => Some("\n"),
        '\t' => Some("\t"),
        _ => None,
    })
}

/// A document of any number of lines, none of which a CI system takes for a command when the document is shown in its log.
#[must_use]
pub fn document(text: &str) -> String {
    block(text).split('\n').map(inert).collect::<Vec<_>>().join("\n")
}

/// A line that no CI system takes for a command: they look for some at the beginning, whatever white space comes before, and
/// for others anywhere.
#[must_use]
pub fn inert(line: &str) -> Cow<'_, str> {
    let mut inert = Cow::Borrowed(line);
    for (command, shown) in [("##[", "#\\#["), ("##vso[", "#\\#vso["), ("##teamcity[", "#\\#teamcity[")] {
        if inert.contains(command) {
            inert = Cow::Owned(inert.replace(command, shown));
        }
    }
    let bare = without_styles(&inert);
    if bare.starts_with("::") {
        let at = inert.len() - bare.len();
        return Cow::Owned(format!("{}\\{}", &inert[..at], &inert[at..]));
    }
    inert
}

/// What follows white space and escape sequences at the beginning.
fn without_styles(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some((_, after)) = rest.strip_prefix("\u{1b}[").and_then(|sequence| sequence.split_once('m')) {
        rest = after.trim_start();
    }
    rest
}

/// Text that is JSON already: what JSON lets through in a string is escaped there, commands to CI systems too, and its
/// meaning stays.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let mut plain = block(text);
    // Two of them stand in strings only.
    for (command, escaped) in [("##[", "#\\u0023["), ("##vso[", "#\\u0023vso["), ("##teamcity[", "#\\u0023teamcity[")] {
        if plain.contains(command) {
            plain = Cow::Owned(plain.replace(command, escaped));
        }
    }
    plain
}

/// Whether a letter is never shown as it is: it has no shape of its own, and acts on what is around it.
#[must_use]
pub fn acts(letter: char) -> bool {
    match letter {
        // Plain ASCII first, because nearly all text is.
        ' '..='~' => false,
        // Controls: C0, DEL, C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        _ => matches!(
            letter,
            // Invisible: a soft hyphen, joiners, fillers, spaces without width.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}'
                | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                // They turn the direction of what follows.
                | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
                // Line and paragraph separators.
                | '\u{2028}' | '\u{2029}'
                // Annotations, tags, what XML has no place for, and what is reserved or for private use without meaning.
                | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{fdd0}'..='\u{fdef}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        ),
    }
}

fn escaped(text: &str, keep: impl Fn(char) -> Option<&'static str>) -> Cow<'_, str> {
    let Some(first) = text.find(acts) else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len() + 16);
    plain.push_str(&text[..first]);
    for letter in text[first..].chars() {
        if !acts(letter) {
            plain.push(letter);
        } else if let Some(kept) = keep(letter) {
            plain.push_str(kept);
        } else {
            // As JSON has it, so that escaped JSON stays what it was. Writing into a string does not fail.
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_shown_instead() {
        for (text, plain) in [
            ("a\u{1b}[31mb", "a\\u001b[31mb"),
            ("one\r\ntwo\nthree\rfour", "one\\r\\ntwo\\nthree\\rfour"),
            ("a\tb\u{7}", "a b\\u0007"),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
            ("gnp.\u{202e}exe", "gnp.\\u202eexe"),
            ("pa\u{200b}ss\u{feff}", "pa\\u200bss\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(line(text), plain);
        }
        assert_eq!(block("one\r\ntwo\n\tthree\rfour\u{1b}c"), "one\ntwo\n\tthree\\rfour\\u001bc");
        for text in ["plain", "Grüße, 你好, שלום, 👍🏽 – “…” ━─", ""] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn no_line_is_a_command_of_a_ci_system() {
        for (line, shown) in [
            ("::error::x", "\\::error::x"),
            ("  \u{1b}[31m ::set-output name=a::b", "  \u{1b}[31m \\::set-output name=a::b"),
            ("a ##[error]b ##vso[task.x]", "a #\\#[error]b #\\#vso[task.x]"),
            ("a::b ::c", "a::b ::c"),
            ("# ## [x]", "# ## [x]"),
        ] {
            assert_eq!(inert(line), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_acts_in_what_is_plain(text: String) {
            prop_assert!(!line(&text).contains(acts));
            prop_assert!(!block(&text).contains(|letter| acts(letter) && letter != '\n' && letter != '\t'));
        }

        #[test]
        fn json_means_the_same_afterwards(text in "(?s).*|(##\\[|##vso\\[|##teamcity\\[|#|\\PC){0,9}") {
            let json = serde_json::Value::from(text);
            let plain = super::json(&json.to_string()).into_owned();
            prop_assert!(!plain.contains(acts));
            prop_assert_eq!(inert(&plain), plain.as_str());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), json);
        }
    }
}
