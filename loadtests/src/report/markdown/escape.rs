//! Text that comes from elsewhere, such as an error of the platform, as Markdown that shows just that text.

use card_core::plain;

/// For a paragraph or a cell of a table: one line, and nothing in it is markup.
pub(in crate::report) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = one_line(text).chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(letter) = rest.next() {
        let markup = match letter {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' | '&' => true,
            // Inside a word it is no markup, and ids are full of them.
            '_' => !(before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric())),
            _ => false,
        };
        if markup {
            escaped.push('\\');
        }
        escaped.push(letter);
        before = letter;
    }
    escaped
}

/// The same as code, for a cell or a paragraph.
pub(in crate::report) fn code(text: &str) -> String {
    let text = one_line(text);
    // A fence longer than every run of backticks inside, and spaces where one would touch the fence.
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{space}{}{space}{fence}", behind_backslashes(&text))
}

/// A bar ends a cell even in code, unless an odd number of backslashes stands before it; a table takes one of them away.
fn behind_backslashes(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut backslashes = 0;
    for letter in text.chars() {
        if letter == '|' {
            escaped.push_str(if backslashes % 2 == 0 { "\\" } else { "\\\\" });
        }
        backslashes = if letter == '\\' { backslashes + 1 } else { 0 };
        escaped.push(letter);
    }
    escaped
}

/// Control characters would end the cell, or colour a terminal; invisible ones would hide what stands there.
fn one_line(text: &str) -> String {
    let spaced = text.replace("\r\n", " ");
    spaced.chars().map(|letter| if plain::acts(letter) { ' ' } else { letter }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_shows_as_it_was_typed() {
        assert_eq!(text("a|b <script> *x* [l](u) `c` a_b _d_"), r"a\|b \<script> \*x\* \[l\](u) \`c\` a_b \_d\_");
        assert_eq!(text("one\r\ntwo\nthree\u{1b}[31m"), r"one two three \[31m");
        assert_eq!(code("e2e.p95<2s"), "`e2e.p95<2s`");
        assert_eq!(code("a|b\nc"), r"`a\|b c`");
        assert_eq!(code("a``b"), "``` a``b ```");
    }

    proptest! {
        #[test]
        fn no_text_ends_its_cell(typed in "\\PC*|[|`\\\\<>\n\r_*a]*") {
            for shown in [text(&typed), code(&typed)] {
                prop_assert!(!shown.contains(plain::acts));
                for before in shown.match_indices('|').map(|(at, _)| &shown[..at]) {
                    let backslashes = before.len() - before.trim_end_matches('\\').len();
                    prop_assert!(backslashes % 2 == 1, "{shown}");
                }
            }
            let shown = text(&typed).replace("\\\\", "");
            let bare = shown.match_indices('<').any(|(at, _)| !shown[..at].ends_with('\\'));
            prop_assert!(!bare, "{shown}");
        }
    }
}
