//! One workflow command. It is a line with a syntax of its own, so what it carries is escaped:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use card_core::plain;

/// How GitHub marks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
    Notice,
}

/// `::error title=…::…`
pub(super) fn line(level: Level, title: &str, text: &str) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
    };
    format!("::{level} title={}::{}", property(title), message(text))
}

/// The percent sign first, or it would escape the escapes.
fn message(text: &str) -> String {
    plain::document(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(
            line(Level::Error, "a: 5%, b", "100%: one,\r\ntwo::error::\u{1b}"),
            "::error title=a%3A 5%25%2C b::100%25: one,%0Atwo::error::\\u001b"
        );
        assert_eq!(line(Level::Warning, "", "x"), "::warning title=::x");
        assert_eq!(line(Level::Notice, "t", "%0A"), "::notice title=t::%250A");
    }

    proptest! {
        #[test]
        fn a_command_is_one_line_and_reads_back(title in "[ -~\r\n%:,]*", text in "\\PC*|[%\r\n:,]*") {
            let line = line(Level::Error, &title, &text);
            prop_assert!(!line.contains(['\r', '\n']));
            let (properties, message) = line.strip_prefix("::error title=").unwrap().split_once("::").unwrap();
            let title = plain::document(&title);
            let read = |text: &str| {
                let marks = [("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
                marks.iter().fold(text.to_owned(), |text, (mark, letter)| text.replace(mark, letter))
            };
            prop_assert_eq!(read(properties), title);
            prop_assert_eq!(read(message), plain::document(&text));
        }
    }
}
