//! Takes out of a text what must not be written down (P7).
//!
//! A net under the rule that such things are not logged in the first place, not a replacement for it.

mod cards;
mod letters;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

fn pattern(text: &str) -> Regex {
    // The patterns are constants and every one is used by a test.
    Regex::new(text).unwrap_or_else(|error| unreachable!("{error}"))
}

static QUICK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)@|%40|eyJ|bearer|basic|negotiate|authori|pass|pwd|secret|token|credential|cookie|auth\W|_key|-key|apikey|\b(?:cvv|cvc|csc|pin)|-----BEGIN|LS0tLS1|\b(?:rt|op)_|\b(?:gh[a-z]|github_pat|dckr_pat|xox[a-z]|glpat|sk_live|sk_test)[_-]|\b(?:AKIA|ASIA)|\+\d",
    )
});
// Up to the last @, because a password may hold one, and an address of several servers several.
static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| pattern(r#"([A-Za-z][A-Za-z0-9+.\-]*://)[^\s"'<>]*@"#));
static BARE_CREDENTIALS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(^|[\s"'=(,<])[^\s:/@"'=(,<>]+:[^\s/@"'<>]+@([A-Za-z0-9\[][A-Za-z0-9.\-:\]]*)"#));
static EMAIL: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\w.%+\-]+(?:@|%40|\\u0040)[\w\-]+(?:\.[\w\-]+)+"));
static JWT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*){0,3}"));
static BEARER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(bearer|negotiate)(?: +|%20|\+)[A-Za-z0-9._~+/=\-]+"));
static BASIC: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(basic)(?: +|%20|\+)([A-Za-z0-9+/_\-]{6,}(?:=|%3D){0,2})"));
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?["']?(?:\s*[:=]\s*|,\s*)\\?["']?)([^"'\\\r\n]+)"#)
});
static OPAQUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:(?:rt|op)_[A-Za-z0-9_\-]{16,}|(?:gh[a-z]_|github_pat_|dckr_pat_|xox[a-z]-|glpat-|sk_(?:live|test)_)[A-Za-z0-9_\-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,})",
    )
});
static PEM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)|LS0tLS1CRUdJTi[A-Za-z0-9+/=]*",
    )
});
/// What a secret is called: the end of a field's, a variable's or a flag's name.
const NAMES: &str = r"(?:pass(?:word|wd|phrase|code)?|pwd|secrets?|tokens?|credentials?|api[_\-]?keys?|(?:access|private|signing|secret|encryption|client|account|shared)[_\-]?keys?(?:[_\-]?data)?)";
/// In quotes, escaped as JSON does inside of a string or not; the end may be cut off.
const QUOTED: &str = r#""(?:[^"\\]|\\.)*(?:"|$)|\\"(?:[^"\\]|\\\\(?:\\")?|\\[^"\\])*(?:\\"|$)|'[^']*(?:'|$)"#;
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        &[
            r#"(?i)\b((?:[a-z0-9_.\-]*[_.\-])?[a-z0-9]*?"#,
            NAMES,
            r#")(\\?["']?(?:\s*[:=]\s*|%3D|%3A)(?:[A-Za-z]+\()*)("#,
            QUOTED,
            r#"|[^\s"',;&}\])]+)"#,
        ]
        .concat(),
    )
});
static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        &[
            r#"(?i)((?:^|[\s"'`(\[{,=])--?(?:[a-z0-9_\-]*[_\-])?[a-z0-9]*?"#,
            NAMES,
            r#"["']?,?\s+)("#,
            QUOTED,
            r#"|[^\s"',;]+)"#,
        ]
        .concat(),
    )
});
/// The environment of a container or a plugin: the name in one field, the value in the next.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        &[
            r#"(?i)(\bname\\?["']?\s*[:=]\s*\\?["']?[a-z0-9_.\-]*?"#,
            NAMES,
            r#")(\\?["']?\s*,?\s*\\?["']?value\\?["']?\s*[:=]\s*)("#,
            QUOTED,
            r#"|[^\s"',;&}\])]+)"#,
        ]
        .concat(),
    )
});
static DOCKER_AUTH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)("(?:auth|identitytoken|registrytoken)\\?"\s*:\s*\\?)"[^"]*""#));
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b((?:cvv2?|cvc2?|csc|cav2?|cid|pin|card[_\- ]?(?:code|verification(?:[_\- ]?value)?)|security[_\- ]?code)\d?)(\\?["']?(?:\s*[:=]\s*|%3D|\s+))(\\?["']?\d{3,12})\b"#,
    )
});
static PHONE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\+\d(?:[ \-().]{0,2}\d){6,14}"));
/// What has many digits and is no card: ids and times.
static APART: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?",
    )
});
/// Words that begin a sentence about a secret, not one: "password: must have 8 characters".
const PROSE: [&str; 26] = [
    "a", "an", "and", "are", "at", "can", "can't", "cannot", "does", "expected", "has", "in", "invalid", "is", "may",
    "missing", "must", "no", "not", "of", "only", "or", "required", "the", "unknown", "was",
];

/// The text with card numbers, e-mail addresses, phone numbers, passwords and tokens replaced by what they were.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let text = secrets(text);
    let text = replace(text, &EMAIL, |_| Some("[email]".to_owned()));
    replace(text, &PHONE, |_| Some("[phone]".to_owned()))
}

/// The text without card numbers, passwords and tokens. Addresses of people stay: for what somebody is told about their own
/// machine, where `admin@cluster.example.org` is the name of a context.
#[must_use]
pub fn secrets(text: &str) -> Cow<'_, str> {
    // Nearly every line is clean: one scan instead of many.
    if !QUICK.is_match(text) {
        return mask_cards(Cow::Borrowed(text));
    }
    let text = replace(Cow::Borrowed(text), &PEM, |_| Some("[key]".to_owned()));
    let text = replace(text, &HEADER, |found| Some(format!("{}{}[secret]", &found[1], &found[2])));
    let text = replace(text, &JWT, |_| Some("[token]".to_owned()));
    let text = replace(text, &BEARER, |found| Some(format!("{} [token]", &found[1])));
    let text = replace(text, &BASIC, |found| {
        // In prose ("Basic authentication") all letters are small ones.
        let is_word = found[2].bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        (!is_word).then(|| format!("{} [secret]", &found[1]))
    });
    let text = replace(text, &OPAQUE, |_| Some("[token]".to_owned()));
    let text = replace(text, &CREDENTIALS, |found| {
        // Our own hints say where a name and a password go.
        let is_hint = matches!(&found[0][found[1].len()..], "USER@" | "USER:PASSWORD@");
        (!is_hint).then(|| format!("{}[credentials]@", &found[1]))
    });
    let text = replace(text, &BARE_CREDENTIALS, |found| {
        // `name:tag@sha256:DIGEST` is an image.
        let is_digest = found[2].starts_with("sha256:") || found[2].starts_with("sha512:");
        (!is_digest).then(|| format!("{}[credentials]@{}", &found[1], &found[2]))
    });
    let text = replace(text, &DOCKER_AUTH, |found| Some(format!("{}\"[secret]\"", &found[1])));
    let text = replace(text, &FIELD, |found| field(&found[1], &found[2], &found[3]));
    let text = replace(text, &VARIABLE, |found| field(&found[1], &found[2], &found[3]));
    let text = replace(text, &FLAG, |found| field(&found[1], "", &found[2]));
    let text = replace(text, &CODE, |found| field(&found[1], &found[2], &found[3]));
    mask_cards(text)
}

/// The value of a field that holds a secret, replaced so that quotes stay where they were: JSON stays JSON.
fn field(name: &str, joint: &str, value: &str) -> Option<String> {
    let unescaped = value.trim_start_matches('\\');
    let is_json = joint.trim_start_matches('\\').starts_with('"');
    let is_prose = (joint.ends_with(' ') || joint.is_empty()) && !is_json;
    let is_masked = ["[secret", "[token", "[credentials", "[key", "[card"].contains(&value);
    if is_masked
        || (is_prose && PROSE.contains(&value.to_lowercase().trim_end_matches(['.', ':'])))
        || (is_json && (matches!(value, "null" | "true" | "false") || value.starts_with(['{', '['])))
    {
        return None;
    }
    let (escape, quote) = match unescaped.as_bytes().first() {
        Some(b'"') => (if unescaped.len() < value.len() { "\\" } else { "" }, "\""),
        Some(b'\'') => ("", "'"),
        // A number, which the mask is not.
        _ if is_json => (if joint.starts_with('\\') { "\\" } else { "" }, "\""),
        _ => ("", ""),
    };
    let was_quoted = unescaped.starts_with(['"', '\'']);
    // What is cut off stays cut off.
    let ends = if !was_quoted || (unescaped.len() > 1 && unescaped.ends_with(quote)) { quote } else { "" };
    let closing = if ends.is_empty() { "" } else { escape };
    Some(format!("{name}{joint}{escape}{quote}[secret]{closing}{ends}"))
}

fn replace<'a>(text: Cow<'a, str>, pattern: &Regex, with: impl Fn(&Captures<'_>) -> Option<String>) -> Cow<'a, str> {
    if !pattern.is_match(&text) {
        return text;
    }
    let replaced = pattern
        .replace_all(&text, |found: &Captures<'_>| with(found).unwrap_or_else(|| found[0].to_owned()))
        .into_owned();
    Cow::Owned(replaced)
}

/// Whether a card's number stands in the text.
#[must_use]
pub fn holds_card(text: &str) -> bool {
    matches!(mask_cards(Cow::Borrowed(text)), Cow::Owned(_))
}

/// Whether there are too few digits for a number with no letter between them. Most texts are told by this, ids among them.
fn has_no_number(text: &str) -> bool {
    const FEWEST: usize = 13;
    // A letter that is not ASCII may be a digit, or stand between two; and one of an escape is no letter.
    if text.bytes().any(|byte| !byte.is_ascii() || matches!(byte, b'%' | b'\\')) {
        return text.bytes().filter(|byte| byte.is_ascii_digit() || !byte.is_ascii()).count() < FEWEST;
    }
    let mut digits = 0;
    text.bytes().all(|byte| {
        if byte.is_ascii_digit() {
            digits += 1;
        } else if byte.is_ascii_alphabetic() {
            digits = 0;
        }
        digits < FEWEST
    })
}

fn mask_cards(text: Cow<'_, str>) -> Cow<'_, str> {
    if has_no_number(&text) {
        return text;
    }
    let apart: Vec<_> = APART.find_iter(&text).map(|found| found.range()).collect();
    let found = cards::find(&text, &apart);
    if found.is_empty() {
        return text;
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for place in found {
        masked.push_str(&text[done..place.start]);
        // A number of JSON; inside of its strings a quote has a backslash before it.
        let is_json = masked.ends_with("\":") && !masked.ends_with("\\\":");
        masked.push_str(if is_json { "\"[card]\"" } else { "[card]" });
        done = place.end;
    }
    masked.push_str(&text[done..]);
    Cow::Owned(masked)
}
