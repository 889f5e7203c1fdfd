//! A text letter by letter, with what is written as an escape read as what it means: `%34`, `\u0034` and a full-width 4 are a 4.

use std::ops::Range;

/// A letter, and where it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) is: char,
    /// In bytes.
    pub(super) span: Range<usize>,
}

/// The first digit of each script's ten (Unicode, category Nd).
const ZEROS: [u32; 43] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
    0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1FBF0,
];

impl Letter {
    /// Its value, if it is a decimal digit of any script.
    pub(super) fn digit(&self) -> Option<u8> {
        let point = u32::from(self.is);
        if point < 0x80 {
            return self.is.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
        }
        ZEROS.iter().find_map(|zero| u8::try_from(point.checked_sub(*zero)?).ok().filter(|value| *value < 10))
    }
}

/// The letters of a text, escapes read. An escape that means nothing stands for its own letters.
pub(super) fn letters(text: &str) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let (is, length) = match first {
            '%' => percent(&text[at..]).unwrap_or((first, 1)),
            '\\' => escape(&text[at..]).unwrap_or((first, 1)),
            // Invisible ones between digits are no gap.
            _ => (first, first.len_utf8()),
        };
        letters.push(Letter { is, span: at..at + length });
        at += length;
    }
    letters
}

/// `%C2%A0`: one letter of UTF-8, of at most four bytes.
fn percent(text: &str) -> Option<(char, usize)> {
    let mut bytes = [0; 4];
    for count in 1..=4 {
        let hex = text.get((count - 1) * 3..count * 3)?.strip_prefix('%')?;
        bytes[count - 1] = u8::from_str_radix(hex, 16).ok()?;
        if let Ok(read) = std::str::from_utf8(&bytes[..count]) {
            return Some((read.chars().next()?, count * 3));
        }
    }
    None
}

/// `\u0034`, `\u{34}`, `\x34`, and the escapes of white space.
fn escape(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix('\\')?;
    let hex = |digits: &str| char::from_u32(u32::from_str_radix(digits, 16).ok()?);
    if let Some(inner) = rest.strip_prefix("u{") {
        let (digits, _) = inner.get(..7).unwrap_or(inner).split_once('}')?;
        return Some((hex(digits)?, digits.len() + 4));
    }
    match rest.chars().next()? {
        'u' => Some((hex(rest.get(1..5)?)?, 6)),
        'x' => Some((hex(rest.get(1..3)?)?, 4)),
        't' | 'n' | 'r' => Some((' ', 2)),
        '/' => Some(('/', 2)),
        _ => None,
    }
}
