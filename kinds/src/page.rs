//! The page about kinds, docs/reference/kinds.md, made of what they say of themselves.

use std::fmt::Write as _;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::definition::{Definition, Schemas};
use crate::registry::Registry;

/// How the page is made anew.
const COMMAND: &str = "cargo run -p card-kinds --example page > docs/reference/kinds.md";

/// The page, as Markdown.
#[must_use]
pub fn page(registry: &Registry) -> String {
    let mut page = format!(
        "# Kinds of tasks\n\n\
         What can be asked of the platform, with `POST /api/v1/tasks` `{{\"kind\", \"payload\"}}` or `cardctl submit --kind KIND`. \
         This page is made by\n`{COMMAND}`; a test compares it with the program. How to add a kind: \
         [ARCHITECTURE.md](../ARCHITECTURE.md#how-to-add-a-kind).\n\n\
         Every task is durable when it is answered 202, reaches one final status, and has its effect once, whatever its \
         kind.\n"
    );
    for one in registry.all() {
        section(&mut page, one);
    }
    page
}

fn section(page: &mut String, one: &Definition) {
    let sample = one.sample(&mut StdRng::seed_from_u64(1));
    let owner = if one.is_owned { "a user" } else { "a user or an operator" };
    let open = match one.exclusive {
        Some(exclusive) => format!("one of each user: a second is refused with `{}`", exclusive.problem),
        None => "any number".to_owned(),
    };
    let effect = if one.has_effect { "one for each success" } else { "none; the result is all" };
    // Writing to a String can't fail.
    let _ = write!(
        page,
        "\n## `{}`\n\n{}\n\n| | |\n|---|---|\n| asked for by | {owner} |\n| open at once | {open} |\n| effect | {effect} |\n\
         | code in ledgers | {} |\n| for example | `{}` |\n",
        one.kind, one.summary, one.code, sample
    );
    let mut others = Schemas::new();
    let payload = serde_json::to_value(one.payload_schema(&mut others)).unwrap_or_default();
    fields(page, "Payload", &payload, &others);
    let output = serde_json::to_value(one.output_schema(&mut others)).unwrap_or_default();
    fields(page, "Result", &output, &others);
    if !one.errors.is_empty() {
        page.push_str("\nErrors of its tasks, as their owner is told of them:\n\n| code | |\n|---|---|\n");
        for (code, sentence) in one.errors {
            let _ = writeln!(page, "| `{code}` | {sentence} |");
        }
    }
}

fn fields(page: &mut String, what: &str, schema: &Value, others: &Schemas) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let _ = write!(page, "\n{what}:\n\n| field | | |\n|---|---|---|\n");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in properties {
        let property = resolved(property, others);
        let optional = if required.contains(&name.as_str()) { "" } else { ", optional" };
        let description = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(page, "| `{name}` | {}{optional} | {description} |", kind_of(&property));
    }
}

/// The schema itself, where there is only its name, with the field's own description.
fn resolved(property: &Value, others: &Schemas) -> Value {
    let reference = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str());
    let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) else { return property.clone() };
    let found = others.iter().find(|(other, _)| other == name);
    let mut schema = found.and_then(|(_, schema)| serde_json::to_value(schema).ok()).unwrap_or_default();
    if let Some(own) = property.get("description") {
        schema["description"] = own.clone();
    }
    schema
}

fn kind_of(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("`{}`", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(one_of) = schema["oneOf"].as_array() {
        return one_of.iter().map(kind_of).collect::<Vec<_>>().join(" or ");
    }
    // What can be left out has `null` beside its type.
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().find_map(|one| one.as_str().filter(|one| *one != "null")),
        one => one.as_str(),
    };
    match (types.unwrap_or("any"), schema["format"].as_str()) {
        ("integer", Some("int64")) => "integer of 64 bits with a sign".to_owned(),
        ("string", _) => "text".to_owned(),
        (other, _) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_kinds_say() {
        let written = include_str!("../../docs/reference/kinds.md");
        assert!(written == page(&Registry::default()), "docs/reference/kinds.md is out of date: {COMMAND}");
    }
}
