//! The documents of a text.

use serde_json::Value;

use crate::tree::{Doubt, read};
use crate::{YamlError, json};

/// One document that is not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it begins, from 1.
    pub line: usize,
    /// As `kubectl` has it.
    pub value: Value,
    /// What YAML 1.2 has otherwise.
    pub doubts: Vec<Doubt>,
}

/// What a key means that is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// It is a mistake.
    Refused,
    /// The last counts, as it does to `kubectl`.
    LastCounts,
}

/// All of them: YAML with lines `---` between them, or objects of JSON one after the other.
///
/// # Errors
/// It is neither.
pub fn documents(text: &str, repeated: Repeated) -> Result<Vec<Document>, YamlError> {
    if text.trim_start().starts_with('{')
        && let Some(found) = json::stream(text, repeated)?
    {
        return Ok(found);
    }
    let mut found = Vec::new();
    for (first, part) in split(text)? {
        if let Some((line, value, doubts)) = read(&part, first, repeated)?
            && !value.is_null()
        {
            found.push(Document { line, value, doubts });
        }
    }
    Ok(found)
}

/// At the lines that begin with `---`, each with the number of its first line. A byte order mark may be at the beginning of
/// each.
fn split(text: &str) -> Result<Vec<(usize, String)>, YamlError> {
    let mut parts = vec![(1, String::new())];
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.strip_prefix('\u{feff}').unwrap_or(line);
        match bare.strip_prefix("---") {
            Some(rest) if rest.trim().is_empty() || rest.starts_with([' ', '\t']) => {
                // What is on the line belongs to the document, in its column.
                parts.push((index + 1, format!("   {rest}")));
            }
            Some(_) => {
                return Err(YamlError::at(index + 1, "a line that begins with --- and continues is not a separator"));
            }
            None => {
                if let Some((_, part)) = parts.last_mut() {
                    part.push_str(if part.trim().is_empty() { bare } else { line });
                }
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<Value> {
        documents(text, Repeated::LastCounts).unwrap().into_iter().map(|document| document.value).collect()
    }

    fn doubts(text: &str) -> Vec<(usize, String)> {
        let found = documents(text, Repeated::Refused).unwrap();
        found.into_iter().flat_map(|document| document.doubts).map(|doubt| (doubt.line, doubt.word)).collect()
    }

    #[test]
    fn documents_are_told_apart_and_know_their_lines() {
        let text = "# a\na: 1\n---\n\n# nothing\n---\n# b\n\nb: 2\n...\n---\nc: |\n  ---\n  x\n--- # d\nd: 4\n";
        let found: Vec<_> =
            documents(text, Repeated::Refused).unwrap().into_iter().map(|found| (found.line, found.value)).collect();
        let wanted =
            [(2, json!({"a": 1})), (9, json!({"b": 2})), (12, json!({"c": "---\nx\n"})), (16, json!({"d": 4}))];
        assert_eq!(found, wanted);
        assert!(values("").is_empty() && values("---\n---\n").is_empty() && values("null\n").is_empty());
    }

    #[test]
    fn objects_of_json_may_follow_one_another() {
        assert_eq!(values("{\"a\": 1}{\"b\": 2}\n\n{\"c\": 3}"), [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]);
        let lines: Vec<_> =
            documents("{\"a\": 1}\n{\"b\": 2}", Repeated::Refused).unwrap().iter().map(|d| d.line).collect();
        assert_eq!(lines, [1, 2]);
        assert_eq!(values("{a: b, c: [1]}\n"), [json!({"a": "b", "c": [1]})]);
        assert_eq!(values("{\n\t\"a\": \"\\/\\ud83d\\ude00\"\n}"), [json!({"a": "/\u{1f600}"})]);
        assert_eq!(documents("{\"b\": 1}\n{\"a\": 1,\n\"a\": 2}", Repeated::Refused).unwrap_err().line, 3);
    }

    #[test]
    fn what_the_versions_of_yaml_read_differently_is_named_with_its_line() {
        for (text, line, word) in [
            ("a: 1\nb: no\n", 2, "no"),
            ("a: {y: 1, b: 2}\n", 1, "y"),
            ("a: {b: 2,\n  y: 1}\n", 2, "y"),
            ("0755: x\n", 1, "0755"),
            ("a:\n  ? no\n  : 1\n", 2, "no"),
            ("a: [1, 1_000]\n", 1, "1_000"),
            ("x: 1\n---\na: 1\nb: Off\n", 4, "Off"),
            ("a: &x {p: 1}\nb: {p: 2, <<: *x}\n", 2, "<<"),
        ] {
            assert_eq!(doubts(text), [(line, word.to_owned())], "{text}");
        }
        for text in
            ["a: \"no\"\n", "a: |\n  no\n", "'y': 1\n", "1: a\n", "a: &x {p: 1}\nb: {<<: *x, p: 2}\n", "a: !!str no\n"]
        {
            assert!(doubts(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn tags_and_merges_are_what_kubectl_makes_of_them() {
        for (text, value) in [
            ("!!str 1", json!("1")),
            ("!!int \"3\"", json!(3)),
            ("!!binary aGk=", json!("hi")),
            ("! 12", json!("12")),
            ("!foo bar", json!("bar")),
            ("!!bool yes", json!(true)),
            ("!!float 1", json!(1)),
            ("!!null ~", json!(null)),
            ("!!timestamp 2020-01-01", json!("2020-01-01")),
            ("!foo {a: b}", json!({"a": "b"})),
            ("{b: &x {p: 1, q: 2}, <<: *x, p: 3}", json!({"b": {"p": 1, "q": 2}, "p": 3, "q": 2})),
            ("{b: &x {p: 1}, c: {p: 3, <<: *x}}", json!({"b": {"p": 1}, "c": {"p": 1}})),
            ("{b: &x {p: 1, q: 2}, <<: [*x, {p: 7, r: 8}]}", json!({"b": {"p": 1, "q": 2}, "p": 1, "q": 2, "r": 8})),
            ("{\"<<\": {a: b}}", json!({"<<": {"a": "b"}})),
            ("{a: 1, a: 2}", json!({"a": 2})),
            ("{y: 1, 0x1F: 2, ~x: 3}", json!({"true": 1, "31": 2, "~x": 3})),
        ] {
            assert_eq!(values(&format!("data: {text}\n")), [json!({"data": value})], "{text}");
        }
    }

    #[test]
    fn what_kubectl_refuses_is_refused() {
        for text in [
            "a: !!int x\n",
            "a: !!int 3.0\n",
            "a: !!binary '%%'\n",
            "a: .inf\n",
            "~: 1\n",
            "? [1]\n: 2\n",
            "a:\n\tb: 1\n",
            "----\n",
            "---{a: 1}\n",
            "a: 1\n...\nb: 2\n",
            "a: [1\n",
            "<<: 1\n",
            "a: *x\n",
            "a: &x [*x]\n",
        ] {
            assert!(documents(text, Repeated::LastCounts).is_err(), "{text}");
        }
        assert_eq!(documents("a: 1\n---\nb: 1\nb: 2\n", Repeated::Refused).unwrap_err().line, 4);
    }

    #[test]
    fn ten_lines_do_not_become_billions_of_values() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let inside = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{inside}]\n");
        }
        assert!(documents(&text, Repeated::LastCounts).is_err());
        assert!(documents(&"[".repeat(100_000), Repeated::LastCounts).is_err());
        assert!(documents(&"- ".repeat(100_000), Repeated::LastCounts).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|\n){0,200}") {
            let _ = documents(&text, Repeated::LastCounts);
        }

        #[test]
        fn any_text_of_what_yaml_is_made_of_is_read_or_refused(text in "[a-z0-9 \t\n:,&*!|>'\"%@#?{}\\[\\]~.<-]{0,120}") {
            let _ = documents(&text, Repeated::Refused);
        }
    }
}
