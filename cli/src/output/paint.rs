//! Styles that vanish where there is no colour, and the one way by which a line reaches a terminal.
//!
//! A style is not an escape sequence until the line is written: before, it is a mark of letters that have no meaning to
//! anybody, made anew for each printer. So a line may mix our styles with text of others, and when it is written whatever is
//! no mark of ours is made plain.

use std::iter::Peekable;
use std::str::Chars;

use card_core::plain;
use card_core::tasks::Status;
use clap::builder::styling::{AnsiColor, Style};
use rand::RngExt;

use super::{Block, Color, fold};

/// Styles text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// What a mark of ours begins with; none: there are none.
    mark: Option<Mark>,
    on: bool,
}

/// The letters that styles of one printer begin with.
pub(super) type Mark = [char; 2];

/// Reserved by Unicode, of no width, and escaped where others write them: what marks begin with, and what they are made of.
const BEGINS: std::ops::Range<u32> = 0xE0200..0xE0FF0;
const BYTES: std::ops::Range<u32> = 0xE0080..0xE0100;

impl Paint {
    /// By flag, terminal and `NO_COLOR` (any value but an empty one, no-color.org).
    pub(super) fn new(choice: Color, capable: bool, mark: Mark) -> Self {
        let allowed = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let on = match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => capable && allowed(),
        };
        Self { mark: Some(mark), on }
    }

    /// Letters for a printer: nobody else can know them, so nobody else's text is taken for a style.
    pub(super) fn mark() -> Mark {
        let letter = || char::from_u32(rand::rng().random_range(BEGINS)).unwrap_or_default();
        [letter(), letter()]
    }

    /// With styles, whatever becomes of them when the line is written.
    pub(super) const fn always(self) -> Self {
        Self { on: true, ..self }
    }

    /// Without any style.
    #[must_use]
    pub const fn plain() -> Self {
        Self { mark: None, on: false }
    }

    /// Whether anything is styled.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// What went well.
    #[must_use]
    pub fn good(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    /// What needs a look.
    #[must_use]
    pub fn warn(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }

    /// What went wrong.
    #[must_use]
    pub fn bad(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    /// What to copy: commands, addresses.
    #[must_use]
    pub fn accent(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Cyan.on_default(), text)
    }

    /// A headline.
    #[must_use]
    pub fn bold(self, text: impl AsRef<str>) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// What is there for completeness.
    #[must_use]
    pub fn dim(self, text: impl AsRef<str>) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    /// A task's status in its colour.
    #[must_use]
    pub fn status(self, status: Status) -> String {
        match status {
            Status::Succeeded => self.good(status.as_str()),
            Status::Declined | Status::Retrying | Status::Cancelled => self.warn(status.as_str()),
            Status::Dead => self.bad(status.as_str()),
            Status::Queued => self.dim(status.as_str()),
            Status::Running => self.accent(status.as_str()),
        }
    }

    fn styled(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        // Not the text: what it holds of sequences is not ours.
        let (begin, end) = (self.hide(&style.to_string()), self.hide(&format!("{style:#}")));
        if self.is_on() { format!("{begin}{text}{end}") } else { text.to_owned() }
    }

    /// Escape sequences of ours as marks.
    pub(super) fn hide(self, styled: &str) -> String {
        let Some(mark) = self.mark else { return styled.to_owned() };
        let mut hidden = String::with_capacity(styled.len() * 2);
        let mut rest = styled;
        while let Some(at) = rest.find('\u{1b}') {
            hidden.push_str(&rest[..at]);
            let end = rest[at..].find('m').map_or(rest.len(), |end| at + end + 1);
            hidden.extend(mark);
            hidden.extend(rest[at..end].bytes().filter_map(|byte| char::from_u32(BYTES.start + u32::from(byte))));
            rest = &rest[end..];
        }
        hidden + rest
    }

    /// A line as it is written: marks of ours are escape sequences, or nothing where there is no colour, and nothing else acts.
    #[must_use]
    pub fn line(self, line: &str) -> String {
        let inert = |text: &str| plain::line(text).into_owned();
        let Some(mark) = self.mark else { return plain::inert(&inert(line)).into_owned() };
        let mut written = String::with_capacity(line.len());
        let mut foreign = String::new();
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            let sequence = (letter == mark[0]).then(|| sequence(mark[1], &mut letters)).flatten();
            match sequence {
                Some(sequence) => {
                    written.push_str(&inert(&foreign));
                    foreign.clear();
                    written.push_str(if self.on { &sequence } else { "" });
                }
                None => foreign.push(letter),
            }
        }
        written.push_str(&inert(&foreign));
        plain::inert(&written).into_owned()
    }

    /// Columns that a terminal needs for it.
    pub(super) fn width(self, text: &str) -> usize {
        fold::width(&self.always().line(text))
    }

    /// Its beginning in so many columns, the last of which says that there is more.
    pub(super) fn cut(self, text: &str, columns: usize) -> String {
        self.hide(&fold::cut(&self.always().line(text), columns))
    }

    /// The same of several.
    #[must_use]
    pub fn lines(self, block: &Block) -> String {
        block.lines().iter().map(|line| self.line(line)).collect::<Vec<_>>().join("\n")
    }
}

/// The escape sequence behind the first letter of a mark; none if it is no mark.
fn sequence(second: char, letters: &mut Peekable<Chars<'_>>) -> Option<String> {
    letters.next_if_eq(&second)?;
    let mut sequence = String::new();
    while let Some(letter) = letters.next_if(|letter| BYTES.contains(&u32::from(*letter))) {
        sequence.push(char::from_u32(u32::from(letter) - BYTES.start)?);
        if sequence.ends_with('m') {
            break;
        }
    }
    let parameters = sequence.strip_prefix("\u{1b}[").and_then(|rest| rest.strip_suffix('m'));
    parameters.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b';')).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn styles_of_ours_are_written_and_those_of_others_are_shown() {
        let paint = Paint::new(Color::Always, false, Paint::mark());
        let line = format!("{} {}", paint.bad("dead\u{1b}[2J"), "\u{1b}[31mred\u{7}\ntwo");
        assert_eq!(paint.line(&line), "\u{1b}[1m\u{1b}[31mdead\\u001b[2J\u{1b}[0m \\u001b[31mred\\u0007\\ntwo");
        let plain = Paint::new(Color::Never, true, paint.mark.unwrap());
        assert_eq!(plain.line(&line), "dead\\u001b[2J \\u001b[31mred\\u0007\\ntwo");
        assert_eq!(Paint::plain().line(&Paint::plain().bad("dead\u{1b}")), "dead\\u001b");
    }

    #[test]
    fn marks_of_another_printer_are_no_styles() {
        let (ours, theirs) =
            (Paint::new(Color::Always, false, Paint::mark()), Paint::new(Color::Always, false, Paint::mark()));
        assert!(!ours.line(&theirs.bad("x")).contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn whatever_is_written_the_only_sequences_are_ours(text: String, styled: String) {
            let paint = Paint::new(Color::Always, false, Paint::mark());
            let line = paint.line(&format!("{text}{}{text}", paint.accent(&styled)));
            let stripped = line.replacen("\u{1b}[36m", "", 1).replacen("\u{1b}[0m", "", 1);
            prop_assert!(!stripped.contains(plain::acts), "{:?}", line);
        }
    }
}
