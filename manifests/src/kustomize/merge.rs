//! Strategic merge patches: maps are merged, null removes, and the items of some lists are found by a field of theirs.

use serde_json::{Map, Value};

use super::Resource;
use crate::kinds::{named, text};

/// Lists whose items are found by fields of theirs, as the API describes them. The ports of a container and of a service differ.
const KEYED: [(&str, &[&str]); 7] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("imagePullSecrets", &["name"]),
];
const CONTAINER_PORT: &[&str] = &["containerPort", "protocol"];
const SERVICE_PORT: &[&str] = &["port", "protocol"];

/// Lists of objects that a patch replaces as a whole.
const WHOLE: [&str; 10] = [
    "volumeClaimTemplates",
    "metrics",
    "rules",
    "tls",
    "items",
    "tolerations",
    "ingress",
    "egress",
    "envFrom",
    "triggers",
];

/// Changes the one object that a patch is meant for.
pub(crate) fn patch(patch: &Value, resources: &mut Vec<Resource>) -> Result<(), String> {
    let group =
        |object: &Value| text(object, "apiVersion").split_once('/').map_or(String::new(), |(group, _)| group.into());
    let (kind, name) = (text(patch, "kind"), text(&patch["metadata"], "name"));
    let found = resources.iter().position(|there| there.is(kind, name) && group(&there.object) == group(patch));
    let at = found.ok_or_else(|| format!("there is no {} for a patch", named(patch)))?;
    if patch.get("$patch").is_some_and(|directive| directive == "delete") {
        resources.remove(at);
        return Ok(());
    }
    let is_custom = kind == "ScaledObject";
    merge(&mut resources[at].object, patch, "", is_custom).map_err(|message| format!("{}: {message}", named(patch)))
}

fn merge(there: &mut Value, patch: &Value, field: &str, is_custom: bool) -> Result<(), String> {
    match (there, patch) {
        (Value::Object(there), Value::Object(patch)) => merge_fields(there, patch, is_custom),
        (Value::Array(there), Value::Array(patch)) => merge_items(there, patch, field, is_custom),
        (there, patch) => {
            *there = without_null(patch)?;
            Ok(())
        }
    }
}

fn merge_fields(there: &mut Map<String, Value>, patch: &Map<String, Value>, is_custom: bool) -> Result<(), String> {
    for (field, value) in patch {
        if field.starts_with('$') {
            return Err(format!("{field} is not supported here"));
        }
        match (value, there.get_mut(field)) {
            (Value::Null, _) => {
                there.remove(field);
            }
            (value, Some(known)) => merge(known, value, field, is_custom)?,
            (value, None) => {
                there.insert(field.clone(), without_null(value)?);
            }
        }
    }
    Ok(())
}

fn merge_items(there: &mut Vec<Value>, patch: &[Value], field: &str, is_custom: bool) -> Result<(), String> {
    let of_objects = patch.iter().chain(there.iter()).any(Value::is_object);
    let keyed = KEYED.iter().find(|(list, _)| *list == field).map(|(_, keys)| *keys);
    let keys = match (keyed, field) {
        _ if is_custom || !of_objects || WHOLE.contains(&field) => None,
        (Some(keys), _) => Some(keys),
        (None, "ports") if patch.iter().any(|port| port.get("containerPort").is_some()) => Some(CONTAINER_PORT),
        (None, "ports") => Some(SERVICE_PORT),
        (None, _) => return Err(format!("how the items of {field} are merged is not known here; see merge.rs")),
    };
    let Some(keys) = keys else {
        *there = patch.iter().map(without_null).collect::<Result<_, _>>()?;
        return Ok(());
    };
    let mut named = Vec::new();
    for item in patch {
        if let Some(key) = keys.iter().find(|key| item.get(**key).is_none()) {
            return Err(format!("an item of {field} has no {key}"));
        }
        let is_meant = |known: &Value| keys.iter().all(|key| known.get(*key) == item.get(*key));
        let known = there.iter().position(is_meant).map(|at| there.remove(at));
        let is_delete = item.get("$patch").is_some_and(|directive| directive == "delete");
        match (known, is_delete) {
            (_, true) => {}
            (Some(mut known), false) => {
                merge(&mut known, item, field, is_custom)?;
                named.push(known);
            }
            (None, false) => named.push(without_null(item)?),
        }
    }
    // As kustomize does it: what a patch names comes first.
    there.splice(0..0, named);
    Ok(())
}

/// What a patch puts where nothing is.
fn without_null(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                if field.starts_with('$') {
                    return Err(format!("{field} is not supported here"));
                }
                kept.insert(field.clone(), without_null(value)?);
            }
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.iter().map(without_null).collect::<Result<_, _>>()?),
        other => other.clone(),
    })
}
