//! What users read begins with a verb or a noun phrase, and has the field's words: `DESIGN`'s vocabulary as a check. For help,
//! errors, hints and log lines.

/// Words of this project's own that were left behind, and what is said instead.
const PRIVATE: [(&str, &str); 30] = [
    ("bell", "notification"),
    ("bells", "notifications"),
    ("books", "counters"),
    ("bureau", "issuer"),
    ("bureaus", "issuers"),
    ("course", "load profile, phase"),
    ("doorbell", "notification"),
    ("doorbells", "notifications"),
    ("doubled up", "duplicated"),
    ("affair", "managed by"),
    ("anew", "again"),
    ("lane", "batcher"),
    ("lanes", "batchers"),
    ("let go", "released"),
    ("lets go", "releases"),
    ("letting go", "releasing"),
    ("muster", "start barrier"),
    ("patience", "timeout"),
    ("promise", "SLO"),
    ("promised", "SLO"),
    ("promises", "SLOs"),
    ("ringer", "notifier"),
    ("rings", "notifies"),
    ("rung", "notified"),
    ("seam", "trait"),
    ("goes on", "continues"),
    ("what is pending", "pending tasks"),
    ("what was accepted", "accepted tasks"),
    ("come to that", "timed out"),
    ("time is up", "timed out"),
];

/// A text for people must not begin with one of these: it would need the sentence before it.
const FRAGMENTS: [&str; 62] = [
    "a", "after", "all", "also", "an", "and", "any", "as", "at", "because", "before", "by", "each", "every", "for",
    "from", "he", "here", "how", "if", "in", "into", "it", "its", "nothing", "of", "on", "once", "only", "or", "out",
    "over", "so", "some", "such", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "to", "until", "up", "we", "what", "when", "where", "whether", "which", "while", "who", "whoever", "whom", "whose",
    "why", "with", "without",
];

/// The first term of a text that is no word of the field's, and what to say instead.
#[must_use]
pub fn private_word(text: &str) -> Option<String> {
    let plain: String =
        text.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { ' ' }).collect();
    let words = format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "));
    let found = PRIVATE.iter().find(|(term, _)| words.contains(&format!(" {term} ")));
    found.map(|(term, instead)| format!("{term:?}: say {instead}"))
}

/// What is wrong with a text of help, if anything.
#[must_use]
pub fn flaw_of_help(text: &str) -> Option<String> {
    let first = text.split_whitespace().next()?;
    let bare = first.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    if FRAGMENTS.contains(&bare.as_str()) {
        return Some(format!("begins with {first:?}: begin with a verb or a noun phrase"));
    }
    private_word(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_and_private_words_are_found() {
        for flawed in
            ["Of the kubeconfig", "Which shell", "What is no difference", "Address of the bureau", "It let go."]
        {
            assert!(flaw_of_help(flawed).is_some(), "{flawed}");
        }
        for fine in ["Name of the local instance", "Wait until the task is final", "result.json to compare", ""] {
            assert_eq!(flaw_of_help(fine), None, "{fine}");
        }
    }
}
