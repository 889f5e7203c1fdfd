//! Server-side apply: who owns which fields, what conflicts, what goes when nobody applies it any more.

use serde_json::{Value, json};

use super::fault::status;
use super::fields::{self, Fields};

/// An entry of `managedFields`.
#[derive(Clone)]
struct Owner {
    manager: String,
    operation: String,
    subresource: String,
    time: Value,
    fields: Fields,
}

fn owners(object: &Value) -> Vec<Owner> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let owner = |entry: Value| Owner {
        manager: text(&entry["manager"]),
        operation: text(&entry["operation"]),
        subresource: text(&entry["subresource"]),
        time: entry["time"].clone(),
        fields: fields::decoded(&entry["fieldsV1"]),
    };
    entries.into_iter().map(owner).collect()
}

fn set_owners(object: &mut Value, owners: &[Owner]) {
    let api_version = object["apiVersion"].clone();
    let entries = owners.iter().filter(|owner| !owner.fields.is_empty()).map(|owner| {
        let mut entry = json!({"manager": owner.manager, "operation": owner.operation, "apiVersion": api_version,
            "time": owner.time, "fieldsType": "FieldsV1", "fieldsV1": fields::encoded(&owner.fields)});
        if !owner.subresource.is_empty() {
            entry["subresource"] = json!(owner.subresource);
        }
        entry
    });
    object["metadata"]["managedFields"] = entries.collect();
}

fn now() -> Value {
    json!(jiff::Timestamp::now().to_string())
}

/// The object after `applied` by `manager`; it has neither resource version nor generation of its own yet.
///
/// # Errors
/// A `Status`: conflicts, or something that the API refuses.
pub(super) fn apply(live: Option<&Value>, applied: &Value, manager: &str, force: bool) -> Result<Value, Value> {
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(status(400, "BadRequest", "metadata.managedFields must be nil", Value::Null));
    }
    declared(applied)?;
    let wanted = fields::of(applied);
    let empty = json!({"apiVersion": applied["apiVersion"], "kind": applied["kind"], "metadata": {}});
    let live = live.unwrap_or(&empty);
    let mut owners = owners(live);
    let mine = |owner: &Owner| owner.manager == manager && owner.operation == "Apply";
    let mut conflicts = Vec::new();
    for owner in owners.iter_mut().filter(|owner| !mine(owner)) {
        let taken: Vec<_> = owner
            .fields
            .intersection(&wanted)
            .filter(|path| path.last().is_none_or(|step| step.starts_with("f:")))
            .filter(|path| fields::value(live, path) != fields::value(applied, path))
            .cloned()
            .collect();
        for path in taken {
            if force {
                owner.fields.remove(&path);
            } else {
                conflicts.push((owner.clone(), path));
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(conflict(&conflicts, live));
    }
    let before = owners.iter().find(|owner| mine(owner)).map(|owner| owner.fields.clone()).unwrap_or_default();
    let mut object = live.clone();
    merge(&mut object, applied, "");
    // The deepest first, so that an entry of a list goes after what is in it.
    let mut dropped: Vec<_> = before.difference(&wanted).cloned().collect();
    dropped.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in dropped {
        let others = owners.iter().filter(|owner| !mine(owner));
        if !others.flat_map(|owner| &owner.fields).any(|owned| owned.starts_with(&path)) {
            fields::remove(&mut object, &path);
        }
    }
    owners.retain(|owner| !mine(owner));
    owners.push(Owner {
        manager: manager.to_owned(),
        operation: "Apply".to_owned(),
        subresource: String::new(),
        time: now(),
        fields: wanted,
    });
    set_owners(&mut object, &owners);
    Ok(object)
}

/// Gives `manager` what it changed by an update; who had it has it no more.
pub(super) fn update(before: Option<&Value>, object: &mut Value, manager: &str, subresource: &str) {
    let empty = json!({});
    let before = before.unwrap_or(&empty);
    let fields_now = fields::of(object);
    let changed: Fields =
        fields_now.iter().filter(|path| fields::value(before, path) != fields::value(object, path)).cloned().collect();
    let mut owners = owners(before);
    for owner in &mut owners {
        owner.fields.retain(|path| fields_now.contains(path) && !changed.contains(path));
    }
    if !changed.is_empty() {
        let mine = |owner: &&mut Owner| {
            owner.manager == manager && owner.operation == "Update" && owner.subresource == subresource
        };
        match owners.iter_mut().find(mine) {
            Some(owner) => {
                owner.fields.extend(changed);
                owner.time = now();
            }
            None => owners.push(Owner {
                manager: manager.to_owned(),
                operation: "Update".to_owned(),
                subresource: subresource.to_owned(),
                time: now(),
                fields: changed,
            }),
        }
    }
    set_owners(object, &owners);
}

fn conflict(conflicts: &[(Owner, fields::Path)], live: &Value) -> Value {
    let with = |owner: &Owner| {
        let mut text = format!("conflict with {:?}", owner.manager);
        if !owner.subresource.is_empty() {
            text += &format!(" with subresource {:?}", owner.subresource);
        }
        if owner.operation == "Update" {
            text += &format!(" using {}", live["apiVersion"].as_str().unwrap_or_default());
        }
        text
    };
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(owner, path)| {
            json!({"reason": "FieldManagerConflict", "message": with(owner), "field": fields::shown(path)})
        })
        .collect();
    let message = match conflicts {
        [(owner, path)] => format!("Apply failed with 1 conflict: {}: {}", with(owner), fields::shown(path)),
        _ => format!("Apply failed with {} conflicts", conflicts.len()),
    };
    status(409, "Conflict", &message, json!({"causes": causes}))
}

fn merge(live: &mut Value, applied: &Value, name: &str) {
    match (&mut *live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            for (name, value) in applied {
                if !value.is_null() {
                    merge(live.entry(name.clone()).or_insert(Value::Null), value, name);
                }
            }
        }
        (Value::Array(entries), Value::Array(applied)) if fields::keys(name, applied).is_some() => {
            let keys = fields::keys(name, applied).unwrap_or_default();
            for entry in applied {
                let key = fields::key_of(entry, keys);
                match entries.iter_mut().find(|live| fields::key_of(live, keys) == key) {
                    Some(live) => merge(live, entry, ""),
                    None => entries.push(entry.clone()),
                }
            }
        }
        _ => *live = applied.clone(),
    }
}

/// The schema, as far as a test needs one: what a `Deployment` may say.
fn declared(applied: &Value) -> Result<(), Value> {
    const SPEC: [&str; 8] = [
        "replicas",
        "selector",
        "template",
        "strategy",
        "minReadySeconds",
        "revisionHistoryLimit",
        "paused",
        "progressDeadlineSeconds",
    ];
    if applied["kind"] != "Deployment" {
        return Ok(());
    }
    let unknown = applied["spec"].as_object().into_iter().flatten().find(|(name, _)| !SPEC.contains(&name.as_str()));
    let Some((name, _)) = unknown else { return Ok(()) };
    let metadata = &applied["metadata"];
    let message = format!(
        "failed to create typed patch object ({}/{}; apps/v1, Kind=Deployment): .spec.{name}: field not declared in schema",
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default(),
    );
    // 500 it is, in the real one too.
    Err(status(500, "", &message, Value::Null))
}
