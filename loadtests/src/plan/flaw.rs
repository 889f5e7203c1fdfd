//! What is wrong with a typed text, and where in it.

use std::ops::Range;

/// One flaw; [`Flaw::under`] points at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// What is wrong.
    what: String,
    /// Where, in bytes.
    at: Range<usize>,
    /// What would be right.
    hint: String,
}

impl Flaw {
    /// The text with carets under the wrong part, and what would be right beside them.
    pub(super) fn under(&self, text: &str) -> String {
        // A typed escape sequence must not reach a terminal, and a line break would move the carets.
        let shown: String = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
        let before = " ".repeat(text[..self.at.start].chars().count());
        let carets = "^".repeat(text[self.at.clone()].chars().count().max(1));
        format!("{}\n  {shown}\n  {before}{carets} {}", self.what.replace(char::is_control, "\u{fffd}"), self.hint)
    }
}

/// A part of a text that remembers where it stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    /// The part.
    pub(super) text: &'a str,
    at: usize,
}

impl<'a> Part<'a> {
    /// A whole text.
    pub(super) fn whole(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What stands before and from `middle` on, which is a place in this part.
    pub(super) fn split_at(self, middle: usize) -> (Self, Self) {
        let (before, after) = self.text.split_at(middle);
        (Self { text: before, at: self.at }, Self { text: after, at: self.at + middle })
    }

    /// Without the spaces around it.
    pub(super) fn trim(self) -> Self {
        let start = self.text.trim_start();
        Self { text: start.trim_end(), at: self.at + self.text.len() - start.len() }
    }

    /// Says that this part is wrong.
    pub(super) fn flaw(self, what: impl Into<String>, hint: impl Into<String>) -> Flaw {
        Flaw { what: what.into(), at: self.at..self.at + self.text.len(), hint: hint.into() }
    }
}

/// `did you mean …? known: …` for a word that is none of the known ones.
pub(super) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let all = known.clone().collect::<Vec<_>>().join(" ");
    match nearest(word, known) {
        Some(nearest) => format!("did you mean {nearest}? known: {all}"),
        None => format!("known: {all}"),
    }
}

/// The known word that somebody most likely meant. Of two that are as near, the one with the same letters: who types
/// `p59` has swapped two of them.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = sorted(&word);
    let far = match word.chars().count() {
        0..=3 => 1,
        4..=6 => 2,
        _ => 3,
    };
    known
        .map(|known| ((strsim::damerau_levenshtein(known, &word), sorted(known) != letters), known))
        .filter(|((distance, _), _)| *distance <= far)
        .min_by_key(|(nearness, _)| *nearness)
        .map(|(_, known)| known)
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_the_part_whatever_letters_come_before() {
        let (_, part) = Part::whole("größe  xy ").split_at("größe".len());
        assert_eq!(part.trim().flaw("wrong", "right").under("größe  xy "), "wrong\n  größe  xy \n         ^^ right");
    }

    #[test]
    fn control_characters_do_not_get_through() {
        let shown = Part::whole("\u{1b}[31m").flaw("wrong", "right").under("\u{1b}[31m\n");
        assert!(!shown.contains('\u{1b}') && shown.lines().count() == 3, "{shown:?}");
    }

    #[test]
    fn the_nearest_word_has_the_same_letters_if_it_can() {
        let known = || ["p50", "p90", "p95", "p99", "max", "mean"].into_iter();
        assert_eq!(nearest("p59", known()), Some("p95"));
        assert_eq!(nearest("P99", known()), Some("p99"));
        assert_eq!(nearest("men", known()), Some("mean"));
        assert_eq!(nearest("latency", known()), None);
        assert_eq!(nearest("", known()), None);
    }
}
