//! Sets of fields, as `managedFields` has them: a path is the list of its steps, each as `fieldsV1` writes it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub(super) type Path = Vec<String>;
pub(super) type Fields = BTreeSet<Path>;

/// What identifies the entries of a list that is merged entry by entry; None: the list is one value.
pub(super) fn keys(name: &str, entries: &[Value]) -> Option<&'static [&'static str]> {
    Some(match name {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "ports" if entries.iter().any(|entry| entry.get("containerPort").is_some()) => &["containerPort", "protocol"],
        "ports" if entries.iter().all(|entry| entry.get("port").is_some()) => &["port", "protocol"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        "conditions" => &["type"],
        "ownerReferences" => &["uid"],
        _ => return None,
    })
}

/// Maps that are one value.
fn is_atomic(name: &str) -> bool {
    matches!(name, "selector" | "labelSelector" | "nodeSelector" | "scaleTargetRef")
}

pub(super) fn key_of(entry: &Value, keys: &[&str]) -> String {
    let mut map = Map::new();
    for key in keys {
        let value = match entry.get(*key) {
            Some(value) => value.clone(),
            None if *key == "protocol" => json!("TCP"),
            None => Value::Null,
        };
        map.insert((*key).to_owned(), value);
    }
    format!("k:{}", Value::Object(map))
}

/// Every field that an object sets.
pub(super) fn of(object: &Value) -> Fields {
    let mut fields = Fields::new();
    let Some(map) = object.as_object() else { return fields };
    for (name, value) in map {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                let names = ["labels", "annotations", "finalizers", "ownerReferences"];
                let shown = value.as_object().into_iter().flatten().filter(|(name, _)| names.contains(&name.as_str()));
                let shown: Map<String, Value> = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
                for (name, value) in &shown {
                    collect(vec!["f:metadata".to_owned(), format!("f:{name}")], name, value, &mut fields);
                }
            }
            _ => collect(vec![format!("f:{name}")], name, value, &mut fields),
        }
    }
    fields
}

fn collect(path: Path, name: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic(name) => {
            for (name, value) in map {
                collect([path.clone(), vec![format!("f:{name}")]].concat(), name, value, fields);
            }
        }
        Value::Array(entries) if keys(name, entries).is_some() && !entries.is_empty() => {
            let keys = keys(name, entries).unwrap_or_default();
            for entry in entries {
                let path = [path.clone(), vec![key_of(entry, keys)]].concat();
                for (name, value) in entry.as_object().into_iter().flatten() {
                    collect([path.clone(), vec![format!("f:{name}")]].concat(), name, value, fields);
                }
                fields.insert(path);
            }
        }
        Value::Null => {}
        _ => {
            fields.insert(path);
        }
    }
}

/// The value at a path.
pub(super) fn value<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    let Some((step, rest)) = path.split_first() else { return Some(object) };
    let next = if let Some(name) = step.strip_prefix("f:") {
        object.get(name)?
    } else {
        &object.as_array()?[entry(object, step)?]
    };
    value(next, rest)
}

/// Removes what is at a path, and the maps and lists that are empty by that.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    if let Some(name) = step.strip_prefix("f:") {
        let Some(map) = object.as_object_mut() else { return };
        if rest.is_empty() {
            map.remove(name);
        } else if let Some(next) = map.get_mut(name) {
            remove(next, rest);
            let empty = next.as_object().is_some_and(Map::is_empty) || next.as_array().is_some_and(Vec::is_empty);
            if empty {
                map.remove(name);
            }
        }
    } else if let Some(at) = entry(object, step) {
        let Some(entries) = object.as_array_mut() else { return };
        if rest.is_empty() {
            entries.remove(at);
        } else {
            remove(&mut entries[at], rest);
        }
    }
}

fn entry(list: &Value, step: &str) -> Option<usize> {
    let wanted: Map<String, Value> = serde_json::from_str(step.strip_prefix("k:")?).ok()?;
    list.as_array()?.iter().position(|entry| {
        wanted.iter().all(|(key, value)| match entry.get(key) {
            Some(found) => found == value,
            None => key == "protocol" && value == "TCP",
        })
    })
}

/// As `fieldsV1`.
pub(super) fn encoded(fields: &Fields) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut at = &mut root;
        for step in path {
            at = &mut at[step];
            if at.is_null() {
                *at = json!({});
            }
        }
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            at["."] = json!({});
        }
    }
    root
}

/// From `fieldsV1`.
pub(super) fn decoded(fields_v1: &Value) -> Fields {
    fn walk(value: &Value, path: &Path, fields: &mut Fields) {
        let map = value.as_object().filter(|map| !map.is_empty());
        match map {
            None => {
                fields.insert(path.clone());
            }
            Some(map) => {
                for (step, value) in map {
                    if step == "." {
                        fields.insert(path.clone());
                    } else {
                        walk(value, &[path.clone(), vec![step.clone()]].concat(), fields);
                    }
                }
            }
        }
    }
    let mut fields = Fields::new();
    if fields_v1.as_object().is_some_and(|map| !map.is_empty()) {
        walk(fields_v1, &Vec::new(), &mut fields);
    }
    fields
}

/// As the API writes a path: `.spec.template.spec.containers[name="server"].image`.
pub(super) fn shown(path: &[String]) -> String {
    path.iter().fold(String::new(), |text, step| {
        if let Some(name) = step.strip_prefix("f:") {
            return format!("{text}.{name}");
        }
        let keys: Map<String, Value> =
            step.strip_prefix("k:").and_then(|keys| serde_json::from_str(keys).ok()).unwrap_or_default();
        let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{text}[{}]", keys.join(","))
    })
}
