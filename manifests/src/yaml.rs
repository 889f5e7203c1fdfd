//! YAML in and out.
//!
//! In: as YAML 1.2 reads it, so `no` is a word; but what YAML 1.1, which `kubectl` speaks, reads as something else is
//! refused, because the two must not differ. Out: one text for one value, read alike by both.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Where a text is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// From 1; 0 if it is not known.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// The documents of a text, with the line where each begins. Empty ones are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<(usize, Value)>, YamlError> {
    let mut found = Vec::new();
    for (first, document) in split(text) {
        if document.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        let below = |error: YamlError| YamlError { line: first + error.line.max(1) - 1, ..error };
        let value: Value = read(&document).map_err(below)?;
        let begin = document.lines().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        if !value.is_null() {
            found.push((first + begin.unwrap_or(0), value));
        }
    }
    Ok(found)
}

/// One document, into any type.
pub(crate) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    same_to_both(text)?;
    parse(text, newer())
}

/// At the lines `---`, and before `...`; each with the number of its first line.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut documents = vec![(1, String::new())];
    for (index, line) in text.lines().enumerate() {
        let mark = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with("---") && mark == "---" {
            documents.push((index + 1, line.replacen("---", "   ", 1)));
        } else if line.trim_end() == "..." {
            documents.push((index + 2, String::new()));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
        }
        if let Some((_, document)) = documents.last_mut() {
            document.push('\n');
        }
    }
    documents
}

/// Refuses what YAML 1.1 reads as something else: `no` is false to it, `0440` is 288.
fn same_to_both(text: &str) -> Result<(), YamlError> {
    let newer: Value = parse(text, newer())?;
    let older = serde_saphyr::options! { strict_booleans: false, legacy_octal_numbers: true, with_snippet: false };
    if parse(text, older).is_ok_and(|older: Value| older == newer) && !has_switch_for_key(text, &newer) {
        return Ok(());
    }
    let suspect = text.lines().enumerate().find_map(|(index, line)| Some((index + 1, suspect(line)?)));
    let (line, word) = suspect.unwrap_or((1, "a word such as no or 0440"));
    Err(YamlError {
        line,
        message: format!(
            "{word} without quotes is one thing to YAML 1.1, which kubectl reads, and another to YAML 1.2; write it in \
             quotes if it is text, and as true, false or a decimal number if it is not"
        ),
    })
}

/// Keys are text to us whatever they look like, and true or false to YAML 1.1 if they have no quotes.
fn has_switch_for_key(text: &str, value: &Value) -> bool {
    let is_bare = |key: &str| {
        let begins = |line: &str| {
            line.trim_start_matches([' ', '-', '{']).strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
        };
        text.lines().any(begins)
    };
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| is_switch(key) && is_bare(key) || has_switch_for_key(text, value))
        }
        Value::Array(items) => items.iter().any(|item| has_switch_for_key(text, item)),
        _ => false,
    }
}

fn is_switch(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n")
}

/// The word of a line that is most likely meant.
fn suspect(line: &str) -> Option<&str> {
    let content = line.split(" #").next()?;
    content.split([' ', '\t', ',', '[', ']', '{', '}', ':']).find(|word| {
        let octal = word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit());
        is_switch(word) || octal
    })
}

fn newer() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true, with_snippet: false }
}

fn parse<T: serde::de::DeserializeOwned>(text: &str, options: serde_saphyr::Options) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| usize::try_from(location.line()).unwrap_or(0));
        YamlError { line, message: first_line(&error.to_string()) }
    })
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // The place is said by whoever knows the file.
    let line = line.strip_prefix("error: ").unwrap_or(line);
    line.split_once(": ").filter(|(place, _)| place.starts_with("line ")).map_or(line, |(_, rest)| rest).to_owned()
}

/// Objects as documents of one text, each field in an order of its own: what it is first, then its name, the rest by the
/// alphabet. The same objects are always the same text.
#[must_use]
pub fn to_yaml(objects: &[Value]) -> String {
    let mut text = String::new();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        match object {
            Value::Object(fields) if !fields.is_empty() => mapping(&mut text, fields, 0, 0),
            other => {
                scalar(&mut text, other, 0);
                text.push('\n');
            }
        }
    }
    text
}

/// Of the same fields always in the same order, whatever the map keeps.
fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |name: &str| ["apiVersion", "kind", "metadata", "name"].iter().position(|first| *first == name);
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| (place(name).unwrap_or(usize::MAX), name.as_str()));
    fields
}

/// The first line is already indented by who calls: `first` is how far the others are in, `already` how far the first is.
fn mapping(text: &mut String, fields: &Map<String, Value>, indent: usize, already: usize) {
    for (index, (name, value)) in ordered(fields).into_iter().enumerate() {
        let missing = if index == 0 { indent - already } else { indent };
        text.extend(std::iter::repeat_n(' ', missing));
        string(text, name, indent, false);
        text.push(':');
        nested(text, value, indent);
    }
}

/// What comes after `name:`.
fn nested(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            mapping(text, fields, indent + 2, 0);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            sequence(text, items, indent + 2, 0);
        }
        other => {
            text.push(' ');
            scalar(text, other, indent);
            text.push('\n');
        }
    }
}

fn sequence(text: &mut String, items: &[Value], indent: usize, already: usize) {
    for (index, item) in items.iter().enumerate() {
        let missing = if index == 0 { indent - already } else { indent };
        text.extend(std::iter::repeat_n(' ', missing));
        text.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => mapping(text, fields, indent + 2, indent + 2),
            Value::Array(items) if !items.is_empty() => sequence(text, items, indent + 2, indent + 2),
            other => {
                scalar(text, other, indent);
                text.push('\n');
            }
        }
    }
}

fn scalar(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(content) => string(text, content, indent, true),
        // Empty ones are written alike in JSON and YAML, and so are null, numbers, true and false.
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn string(text: &mut String, content: &str, indent: usize, may_be_block: bool) {
    if is_plain(content) {
        text.push_str(content);
    } else if may_be_block && is_block(content) {
        text.push_str(if content.ends_with('\n') { "|" } else { "|-" });
        for line in content.lines() {
            text.push('\n');
            if !line.is_empty() {
                text.extend(std::iter::repeat_n(' ', indent + 2));
                text.push_str(line);
            }
        }
    } else {
        // A string of JSON is one of YAML, but for three characters that YAML takes for the end of a line or does not let in.
        let quoted = Value::from(content).to_string();
        for character in quoted.chars() {
            match character {
                '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                    let _ = write!(text, "\\u{:04x}", u32::from(character));
                }
                other => text.push(other),
            }
        }
    }
}

/// Text that no YAML takes for anything else.
fn is_plain(content: &str) -> bool {
    let bytes = content.as_bytes();
    let starts = bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'/' || *byte == b'_');
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-=@%+".contains(byte);
    // A colon makes a key only before a space or at the end.
    let colon = |at: usize| bytes[at] == b':' && bytes.get(at + 1).is_some_and(|next| good(next) || *next == b':');
    let all = (0..bytes.len()).all(|at| good(&bytes[at]) || colon(at));
    let word = is_switch(content) || matches!(content.to_ascii_lowercase().as_str(), "true" | "false" | "null");
    starts && all && !word
}

/// Several lines that survive being written as they are.
fn is_block(content: &str) -> bool {
    let printable = |character: char| matches!(character, ' '..='~' | '\u{a1}'..='\u{2027}' | '\u{2030}'..='\u{d7ff}');
    content.trim_end_matches('\n').contains('\n')
        && !content.ends_with("\n\n")
        && !content.starts_with([' ', '\n'])
        && content.lines().all(|line| !line.ends_with(' ') && line.chars().all(printable))
}

#[cfg(test)]
mod tests;
