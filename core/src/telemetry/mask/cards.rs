//! Finds card numbers in a text, however they are written: in one piece or in groups, in any script's digits, URL-encoded or
//! escaped for JSON, and with more digits after them, such as an expiry date.

use std::ops::Range;

use super::letters::{Letter, letters};

/// What stands between two groups of one number at most.
const GAP: usize = 3;
/// ISO/IEC 7812-1: 19 digits at most; nobody issues fewer than 13.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;
/// Hexadecimal words that are ids of something have at least so many letters, in whole words of 32 bits.
const LONG_ID: usize = 24;

/// A run of digits with nothing in between.
#[derive(Debug)]
struct Group {
    digits: Vec<u8>,
    /// In bytes of the text.
    span: Range<usize>,
    /// What separates it from the group before, if that is near enough to be of the same number.
    gap: Option<String>,
    /// It is part of something that is known to be no number of a card: a time, an id in hexadecimal digits.
    is_other: bool,
}

/// The places in the text, in bytes, where a card number stands. `apart` says which bytes are known to be something else, such as a time.
pub(super) fn find(text: &str, apart: &[Range<usize>]) -> Vec<Range<usize>> {
    let groups = groups(&letters(text), apart);
    let mut found = Vec::new();
    let mut at = 0;
    while at < groups.len() {
        match longest(&groups[at..]) {
            Some((count, end)) => {
                found.push(groups[at].span.start..end);
                at += count;
            }
            None => at += 1,
        }
    }
    found
}

/// How many groups make the longest number that begins with the first one, and where it ends.
fn longest(groups: &[Group]) -> Option<(usize, usize)> {
    let first = groups.first()?;
    let mut digits: Vec<u8> = Vec::with_capacity(20);
    let mut best = None;
    for (index, group) in groups.iter().enumerate() {
        if group.is_other || (index > 0 && group.gap.is_none()) {
            break;
        }
        digits.extend(&group.digits);
        if digits.len() > *LENGTHS.end() {
            break;
        }
        if is_number(&digits) && looks_grouped(&groups[..=index]) {
            best = Some((index + 1, group.span.end));
        }
    }
    // In one piece with its expiry date, and perhaps the code from its back.
    best.or_else(|| (!first.is_other && is_with_expiry(&first.digits)).then_some((1, first.span.end)))
}

/// Whether the groups are of lengths in which a number is written. Any run of small numbers would pass otherwise.
fn looks_grouped(groups: &[Group]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    match lengths.as_slice() {
        [_] | [4, 6, 4 | 5] => true,
        [first @ (1 | 2), rest @ ..] => {
            // Pairs and single digits: all of one kind, with the same between them.
            let total: usize = lengths.iter().sum();
            let same_gap = groups[1..].windows(2).all(|pair| pair[0].gap == pair[1].gap);
            (15..=16).contains(&total) && rest.iter().all(|length| length <= first) && same_gap
        }
        [first, middle @ .., last] => *first >= 4 && middle.iter().all(|length| *length >= 3) && *last >= 1,
        [] => false,
    }
}

fn is_number(digits: &[u8]) -> bool {
    LENGTHS.contains(&digits.len()) && begins_as_cards_do(digits) && passes_luhn(digits)
}

/// `MMYY` or `YYMM` right behind the number, then 3 or 4 digits or nothing.
fn is_with_expiry(digits: &[u8]) -> bool {
    [15, 16].into_iter().any(|length| {
        let (Some(number), Some(rest)) = (digits.get(..length), digits.get(length..)) else { return false };
        let month = |at: usize| rest.get(at..at + 2).is_some_and(|two| (1..=12).contains(&(two[0] * 10 + two[1])));
        matches!(rest.len(), 4 | 7 | 8) && is_number(number) && (month(0) || month(2))
    })
}

/// 3 to 6, and the part of 2 that Mastercard and Mir have: times in microseconds and years begin otherwise.
fn begins_as_cards_do(digits: &[u8]) -> bool {
    match digits {
        [3..=6, ..] => true,
        [2, 2..=7, ..] => {
            (2200..=2720).contains(&digits[..4].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit)))
        }
        _ => false,
    }
}

/// ISO/IEC 7812-1, annex B.
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .map(|digit| u32::from(*digit))
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

fn groups(letters: &[Letter], apart: &[Range<usize>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if letters[at].digit().is_none() {
            at += 1;
            continue;
        }
        let from = at;
        let mut digits = Vec::new();
        while let Some(digit) = letters.get(at).and_then(Letter::digit) {
            digits.push(digit);
            at += 1;
        }
        let span = letters[from].span.start..letters[at - 1].span.end;
        let gap = groups.last().and_then(|last| gap(letters, last.span.end, from));
        let is_other = is_part_of_an_id(letters, from, at)
            || apart.iter().any(|range| range.start < span.end && span.start < range.end);
        groups.push(Group { digits, span, gap, is_other });
    }
    groups
}

/// What stands between the byte where a group ended and the letter where the next one begins, if it can be inside of a number.
fn gap(letters: &[Letter], ended: usize, from: usize) -> Option<String> {
    let between = letters[..from].iter().rev().take_while(|letter| letter.span.start >= ended);
    let between: Vec<char> = between.take(GAP + 1).map(|letter| letter.is).collect();
    let separates =
        |letter: &char| !letter.is_alphanumeric() && !matches!(letter, '"' | '\'' | '{' | '}' | '[' | ']' | '=' | ',');
    (between.len() <= GAP && between.iter().all(separates)).then(|| between.into_iter().rev().collect())
}

/// Whether the word around it could be a long hexadecimal id, such as that of a trace.
fn is_part_of_an_id(letters: &[Letter], from: usize, to: usize) -> bool {
    let in_word = |letter: &&Letter| letter.is.is_alphanumeric();
    let before = letters[..from].iter().rev().take_while(in_word);
    let after = letters[to..].iter().take_while(in_word);
    let around: Vec<char> = before.chain(after).map(|letter| letter.is).collect();
    let length = around.len() + to - from;
    !around.is_empty() && length >= LONG_ID && length.is_multiple_of(8) && around.iter().all(char::is_ascii_hexdigit)
}
