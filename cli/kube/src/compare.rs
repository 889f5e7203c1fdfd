//! Two objects, field by field.

use serde_json::{Value, json};

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// As the API writes it: `.spec.template.spec.containers[name="server"].image`.
    pub field: String,
    /// None: it is not there.
    pub live: Option<Value>,
    /// None: it would go.
    pub wanted: Option<Value>,
}

/// What the server writes by itself, and what repeats a whole manifest.
const NOT_OURS: [&str; 5] = ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"];

pub(crate) fn compare(live: &Value, wanted: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    fields("", &shown(live), &shown(wanted), &mut changes);
    if live["kind"] == "Secret" || wanted["kind"] == "Secret" {
        hide(&mut changes);
    }
    changes
}

/// Whether there is nothing that a difference would show.
pub(crate) fn is_same(live: &Value, wanted: &Value) -> bool {
    shown(live) == shown(wanted)
}

fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| !NOT_OURS.contains(&name.as_str()));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

fn fields(path: &str, live: &Value, wanted: &Value, changes: &mut Vec<FieldChange>) {
    if live == wanted {
        return;
    }
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            let mut names: Vec<&String> = live.keys().chain(wanted.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let null = &Value::Null;
                let (live, wanted) = (live.get(name).unwrap_or(null), wanted.get(name).unwrap_or(null));
                fields(&format!("{path}.{name}"), live, wanted, changes);
            }
        }
        (Value::Array(live), Value::Array(wanted)) if named(live) && named(wanted) => {
            let mut names: Vec<&Value> = live.iter().chain(wanted).map(|entry| &entry["name"]).collect();
            let mut seen = Vec::new();
            names.retain(|name| {
                !seen.contains(name) && {
                    seen.push(name);
                    true
                }
            });
            for name in names {
                let of = |entries: &[Value]| {
                    entries.iter().find(|entry| entry["name"] == *name).cloned().unwrap_or_default()
                };
                fields(&format!("{path}[name={name}]"), &of(live), &of(wanted), changes);
            }
        }
        (Value::Array(live), Value::Array(wanted)) if live.len() == wanted.len() => {
            for (index, (live, wanted)) in live.iter().zip(wanted).enumerate() {
                fields(&format!("{path}[{index}]"), live, wanted, changes);
            }
        }
        _ => {
            let there = |value: &Value| (!value.is_null()).then(|| value.clone());
            changes.push(FieldChange { field: path.to_owned(), live: there(live), wanted: there(wanted) });
        }
    }
}

fn named(entries: &[Value]) -> bool {
    let mut names: Vec<&str> = entries.iter().filter_map(|entry| entry["name"].as_str()).collect();
    let all = names.len() == entries.len();
    names.sort_unstable();
    names.dedup();
    all && names.len() == entries.len()
}

/// Which keys differ may be seen, what they hold may not.
fn hide(changes: &mut [FieldChange]) {
    let hidden = |value: &mut Option<Value>| {
        let keys = match value {
            Some(Value::Object(map)) => Some(map.keys().map(|key| (key.clone(), json!("(hidden)"))).collect()),
            Some(_) => None,
            None => return,
        };
        *value = Some(keys.map_or(json!("(hidden)"), Value::Object));
    };
    for change in
        changes.iter_mut().filter(|change| change.field.starts_with(".data") || change.field.starts_with(".stringData"))
    {
        hidden(&mut change.live);
        hidden(&mut change.wanted);
    }
}
