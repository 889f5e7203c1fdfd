//! Lines that are longer than the terminal is wide: broken between words, with an indent that keeps their column. Nothing is
//! changed where nobody looks: in a pipe or a file a line stays one.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// Below this, breaking at words makes it worse.
const NARROWEST: usize = 24;
/// Programs whose commands are meant to be copied.
const PROGRAMS: [&str; 5] = ["cardctl", "docker", "kubectl", "minikube", "podman"];

/// How many rows of the terminal a line takes.
pub(super) fn rows(line: &str, columns: usize) -> usize {
    width(line).div_ceil(columns.max(1)).max(1)
}

/// A line as it is written, in lines that fit.
pub(super) fn fold(line: &str, columns: usize) -> Cow<'_, str> {
    if columns < NARROWEST || width(line) <= columns {
        return Cow::Borrowed(line);
    }
    let hang = hang(line, columns);
    let mut folded = String::with_capacity(line.len() + 16);
    let mut at = 0;
    let mut is_first = true;
    for piece in pieces(line) {
        let size = width(piece.text);
        if !is_first && at + piece.gap + size > columns {
            // What is too long for its column, such as a path, begins farther left.
            let indent = if hang + size > columns { hang.min(2) } else { hang };
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            at = indent;
        } else {
            folded.push_str(&" ".repeat(piece.gap));
            at += piece.gap;
        }
        is_first = false;
        at = match piece.is_command && at + size > columns {
            // A shell takes it back together.
            true => continued(&mut folded, piece.text, at, columns),
            false => {
                folded.push_str(piece.text);
                at + size
            }
        };
    }
    Cow::Owned(folded)
}

/// A command that is longer than a line.
fn continued(folded: &mut String, command: &str, mut at: usize, columns: usize) -> usize {
    const MARK: &str = " \\\n    ";
    for (index, word) in command.split(' ').enumerate() {
        // The mark has to fit behind it.
        if index > 0 && at + 1 + width(word) + 2 > columns {
            folded.push_str(MARK);
            at = 4;
        } else if index > 0 {
            folded.push(' ');
            at += 1;
        }
        folded.push_str(word);
        at += width(word);
    }
    at
}

struct Piece<'a> {
    /// Spaces before it.
    gap: usize,
    text: &'a str,
    is_command: bool,
}

/// Words, and commands to be copied, which are one piece.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut words = Vec::new();
    let mut begin = 0;
    while begin < line.len() {
        let gap = line[begin..].len() - line[begin..].trim_start_matches(' ').len();
        let from = begin + gap;
        let to = line[from..].find(' ').map_or(line.len(), |length| from + length);
        if from < to {
            words.push((gap, from, to));
        }
        begin = to.max(from);
    }
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut rest = words.iter().copied().peekable();
    let mut introduced = false;
    while let Some((gap, from, mut to)) = rest.next() {
        let word = bare(&line[from..to]);
        let is_program = PROGRAMS.contains(&word.rsplit('/').next().unwrap_or(&word));
        let is_command = introduced && is_program;
        introduced = word.ends_with(':');
        if is_command {
            while let Some((1, _, end)) =
                rest.next_if(|(gap, next, end)| *gap == 1 && !ends_command(&line[*next..*end]))
            {
                to = end;
                if line[..to].ends_with([';', ',']) {
                    break;
                }
            }
        }
        // A number keeps its unit.
        while let Some((_, _, end)) =
            rest.next_if(|(gap, unit, end)| *gap == 1 && is_unit(&line[from..to], &line[*unit..*end]))
        {
            to = end;
        }
        pieces.push(Piece { gap, text: &line[from..to], is_command });
    }
    pieces
}

fn is_unit(number: &str, unit: &str) -> bool {
    let unit = bare(unit);
    bare(number).ends_with(|letter: char| letter.is_ascii_digit())
        && ["ms", "s", "%", "MiB", "users"].contains(&unit.trim_end_matches([',', ';', ')']))
}

/// Where prose goes on behind a command.
fn ends_command(word: &str) -> bool {
    word.starts_with('(') || matches!(bare(word).as_str(), "or" | "and" | "then")
}

/// Where lines after the first begin: at the second column of a line that has some, else a little to the right.
fn hang(line: &str, columns: usize) -> usize {
    let plain = bare(line);
    let leading = plain.len() - plain.trim_start_matches(' ').len();
    let column = plain[leading..].find("  ").map(|at| {
        let gap = &plain[leading + at..];
        width(&plain[..leading + at]) + gap.len() - gap.trim_start_matches(' ').len()
    });
    column.filter(|column| *column <= columns / 2).unwrap_or(leading + 2).min(columns / 2)
}

/// Without escape sequences.
fn bare(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    visible(text, |letter| plain.push(letter));
    plain
}

/// Columns that a terminal needs for it.
pub(super) fn width(text: &str) -> usize {
    let mut width = 0;
    visible(text, |letter| width += letter.width().unwrap_or(0));
    width
}

/// Its beginning in so many columns, the last of which says that there is more. Escape sequences stay.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut at, mut escaped, mut is_cut) = (0, false, false);
    for letter in text.chars() {
        let is_escape = escaped || letter == '\u{1b}';
        escaped = is_escape && letter != 'm';
        if is_escape {
            kept.push(letter);
        } else if !is_cut {
            at += letter.width().unwrap_or(0);
            is_cut = at >= columns;
            kept.push(if is_cut { '…' } else { letter });
        }
    }
    kept
}

/// Every letter that is no part of an escape sequence: ours, all of which end with `m`.
fn visible(text: &str, mut take: impl FnMut(char)) {
    let mut escaped = false;
    for letter in text.chars() {
        match letter {
            '\u{1b}' => escaped = true,
            'm' if escaped => escaped = false,
            _ if escaped => {}
            letter => take(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_breaks_between_words_and_keeps_its_column() {
        assert_eq!(fold("short", 80), "short");
        assert_eq!(
            fold("  latency   p50 4.1 ms  p95 11.0 ms  p99 19.2 ms", 34),
            "  latency   p50 4.1 ms  p95\n            11.0 ms  p99 19.2 ms"
        );
        assert_eq!(fold("error[x]: something went wrong here", 24), "error[x]: something went\n  wrong here");
        let painted = "\u{1b}[31merror:\u{1b}[0m something went wrong here";
        assert_eq!(fold(painted, 24), "\u{1b}[31merror:\u{1b}[0m something went\n  wrong here");
    }

    #[test]
    fn a_command_stays_one_that_can_be_copied() {
        let line = "interrupted; to resume: cardctl watch --run nightly --from 12";
        assert_eq!(fold(line, 40), "interrupted; to resume:\n  cardctl watch --run nightly --from 12");
        let line = "fix: cardctl up -t processes --database postgres://u@h/d --redis redis://h";
        assert_eq!(
            fold(line, 40),
            "fix:\n  cardctl up -t processes --database \\\n    postgres://u@h/d --redis redis://h"
        );
        let line = "fix: cardctl down, or wait until it has finished its work";
        assert_eq!(fold(line, 30), "fix: cardctl down, or wait\n  until it has finished its\n  work");
    }

    proptest! {
        #[test]
        fn only_spaces_become_line_breaks(line in "[a-z]{1,9}( {1,3}[a-z]{1,9}){0,30}", columns in NARROWEST..90) {
            let folded = fold(&line, columns);
            prop_assert!(folded.lines().all(|line| width(line) <= columns), "{folded}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&folded), words(&line));
        }
    }
}
