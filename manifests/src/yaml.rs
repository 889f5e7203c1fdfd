//! YAML in and out.
//!
//! In: as `kubectl` reads it, which is YAML 1.1; what YAML 1.2 reads as something else is refused, because the two must not
//! differ. Out: one text for one value, read alike by both.

use std::fmt::Write as _;

use card_yaml::{Doubt, Repeated};
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
    let found = card_yaml::documents(text, Repeated::Refused);
    let found = found.map_err(|error| YamlError { line: error.line, message: error.message })?;
    let mut documents = Vec::with_capacity(found.len());
    for document in found {
        if let Some(Doubt { line, word }) = document.doubts.into_iter().next() {
            return Err(YamlError { line, message: in_doubt(&word) });
        }
        documents.push((document.line, document.value));
    }
    Ok(documents)
}

fn in_doubt(word: &str) -> String {
    if word == "<<" {
        return "<< after a key that it brings as well is read in two ways; put it first".to_owned();
    }
    format!(
        "{word} without quotes is one thing to YAML 1.1, which kubectl reads, and another to YAML 1.2; write it in quotes if it \
         is text, and as true, false or a decimal number if it is not"
    )
}

/// One document, into any type.
pub(crate) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    if let Some((line, _)) = documents(text)?.get(1) {
        return Err(YamlError { line: *line, message: "there is a second document, and one is meant".to_owned() });
    }
    // Where there is no doubt this reader has the same, and it knows the line of a field that does not fit.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
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

fn is_switch(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n")
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
