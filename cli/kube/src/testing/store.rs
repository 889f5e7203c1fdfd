//! What the server holds, and how it changes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::fault::status;
use super::kinds::Kind;
use super::request::Place;
use super::server_side;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Key {
    pub(super) fn is(&self, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        self.kind == kind && self.namespace.as_deref() == namespace && self.name == name
    }

    pub(super) fn in_place(&self, place: &Place) -> bool {
        self.group == place.kind.group
            && self.kind == place.kind.kind
            && (place.namespace.is_none() || place.namespace == self.namespace)
            && place.name.as_ref().is_none_or(|name| *name == self.name)
    }
}

/// `ADDED`, `MODIFIED` or `DELETED`.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) kind: &'static str,
    pub(super) object: Value,
}

impl Change {
    pub(super) fn revision(&self) -> u64 {
        self.object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

pub(super) struct Store {
    pub(super) kinds: Vec<Kind>,
    pub(super) aggregated: bool,
    pub(super) objects: BTreeMap<Key, Value>,
    pub(super) history: Vec<Change>,
    pub(super) logs: HashMap<(String, String, String), String>,
    /// Where a port of a pod leads.
    pub(super) listens: HashMap<(String, String, u16), SocketAddr>,
    pub(super) revision: u64,
    uids: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            kinds: Kind::standard(),
            aggregated: true,
            objects: BTreeMap::new(),
            history: Vec::new(),
            logs: HashMap::new(),
            listens: HashMap::new(),
            revision: 100,
            uids: 0,
        }
    }

    fn key(&self, object: &Value) -> Option<Key> {
        let api_version = object["apiVersion"].as_str()?;
        let kind = object["kind"].as_str()?;
        let kind = self.kinds.iter().find(|known| known.api_version() == api_version && known.kind == kind)?;
        let metadata = &object["metadata"];
        let namespace = kind.namespaced.then(|| metadata["namespace"].as_str().unwrap_or("default").to_owned());
        let name = metadata["name"].as_str()?.to_owned();
        Some(Key { group: kind.group.clone(), kind: kind.kind.clone(), namespace, name })
    }

    /// Creates or replaces; what is not changed keeps its version.
    pub(super) fn put(&mut self, mut object: Value, manager: &str, subresource: &str) -> Option<Value> {
        let key = self.key(&object)?;
        let before = self.objects.get(&key).cloned();
        server_side::update(before.as_ref(), &mut object, manager, subresource);
        Some(self.keep(key, object, false))
    }

    /// By server-side apply.
    pub(super) fn apply(
        &mut self,
        place: &Place,
        applied: &Value,
        manager: &str,
        force: bool,
        dry_run: bool,
    ) -> Result<(Value, bool), Value> {
        let mut applied = applied.clone();
        let is_mapping = |value: &Value| value.is_null() || value.is_object();
        if !applied["metadata"].is_object() || !is_mapping(&applied["spec"]) {
            return Err(status(400, "BadRequest", "json: cannot unmarshal into a Go struct field", Value::Null));
        }
        if let Some(namespace) = &place.namespace {
            applied["metadata"]["namespace"] = json!(namespace);
        }
        let key =
            self.key(&applied).ok_or_else(|| status(400, "BadRequest", "the object has no such kind", Value::Null))?;
        if Some(&key.name) != place.name.as_ref() {
            return Err(status(
                400,
                "BadRequest",
                "the name of the object does not match the name on the URL",
                Value::Null,
            ));
        }
        self.home(&key)?;
        let live = self.objects.get(&key).cloned();
        if let Some(live) = &live {
            immutable(&key, live, &applied)?;
        }
        let object = server_side::apply(live.as_ref(), &applied, manager, force)?;
        Ok((self.keep(key, object, dry_run), live.is_none()))
    }

    /// Refuses what has no namespace to be in.
    pub(super) fn home(&self, key: &Key) -> Result<(), Value> {
        let Some(namespace) = &key.namespace else { return Ok(()) };
        let home = self.objects.iter().find(|(key, _)| key.is("Namespace", None, namespace));
        match home {
            None => Err(missing("namespaces", namespace)),
            Some((_, home)) if !home["metadata"]["deletionTimestamp"].is_null() => {
                let message =
                    format!("unable to create new content in namespace {namespace} because it is being terminated");
                Err(status(403, "Forbidden", &message, json!({"causes": [{"reason": "NamespaceTerminating"}]})))
            }
            Some(_) => Ok(()),
        }
    }

    /// Stores, with what the server itself sets.
    fn keep(&mut self, key: Key, mut object: Value, dry_run: bool) -> Value {
        let before = self.objects.get(&key).cloned();
        if key.kind == "Deployment" || key.kind == "StatefulSet" {
            let spec = &mut object["spec"];
            if spec["replicas"].is_null() {
                spec["replicas"] = json!(1);
            }
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(key.name);
        if let Some(namespace) = &key.namespace {
            metadata["namespace"] = json!(namespace);
        }
        let kind = match &before {
            Some(before) => {
                for server in ["uid", "creationTimestamp", "resourceVersion", "generation"] {
                    metadata[server] = before["metadata"][server].clone();
                }
                if same(before, &object) {
                    return before.clone();
                }
                if before["spec"] != object["spec"] {
                    let generation = before["metadata"]["generation"].as_u64().unwrap_or(1) + 1;
                    object["metadata"]["generation"] = json!(generation);
                }
                "MODIFIED"
            }
            None => {
                let uid = format!("00000000-0000-4000-8000-{:012}", self.uids + 1);
                metadata["uid"] = json!(uid);
                metadata["creationTimestamp"] = json!(jiff::Timestamp::now().to_string());
                metadata["generation"] = json!(1);
                "ADDED"
            }
        };
        if dry_run {
            return object;
        }
        self.uids += 1;
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let leaving = !object["metadata"]["deletionTimestamp"].is_null();
        if leaving && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.objects.insert(key.clone(), object.clone());
            self.forget(&key);
            return object;
        }
        self.objects.insert(key.clone(), object.clone());
        self.history.push(Change { key, kind, object: object.clone() });
        object
    }

    /// Deletes, or marks what has finalizers.
    pub(super) fn delete(&mut self, place: &Place, options: &Value) -> Result<Value, Value> {
        let name = place.name.clone().unwrap_or_default();
        let Some((key, object)) = self.objects.iter().find(|(key, _)| key.in_place(place)) else {
            return Err(missing(&place.kind.plural, &name));
        };
        let (key, mut object) = (key.clone(), object.clone());
        let uid = &options["preconditions"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            let message = format!("the UID in the precondition ({uid}) does not match the UID in record");
            return Err(status(409, "Conflict", &message, Value::Null));
        }
        if key.kind == "Namespace" {
            let inside: Vec<Key> =
                self.objects.keys().filter(|inside| inside.namespace.as_deref() == Some(&name)).cloned().collect();
            for key in inside {
                self.forget(&key);
            }
        }
        if object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.forget(&key);
            return Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": {"name": name, "kind": place.kind.plural, "uid": object["metadata"]["uid"]}}));
        }
        object["metadata"]["deletionTimestamp"] = json!(jiff::Timestamp::now().to_string());
        Ok(self.keep(key, object, false))
    }

    pub(super) fn remove(&mut self, kind: &str, namespace: Option<&str>, name: &str) {
        if let Some(key) = self.objects.keys().find(|key| key.is(kind, namespace, name)).cloned() {
            self.forget(&key);
        }
    }

    /// Removes, and with it what it owned: the garbage collector, at once.
    fn forget(&mut self, key: &Key) {
        let Some(mut object) = self.objects.remove(key) else { return };
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let uid = object["metadata"]["uid"].clone();
        self.history.push(Change { key: key.clone(), kind: "DELETED", object });
        let owned = |object: &Value| {
            object["metadata"]["ownerReferences"]
                .as_array()
                .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
        };
        let dependents: Vec<Key> =
            self.objects.iter().filter(|(_, object)| owned(object)).map(|(key, _)| key.clone()).collect();
        for key in dependents {
            self.forget(&key);
        }
    }
}

pub(super) fn missing(plural: &str, name: &str) -> Value {
    status(404, "NotFound", &format!("{plural} {name:?} not found"), json!({"name": name, "kind": plural}))
}

/// As `PartialObjectMetadata`.
pub(super) fn partial(object: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}

/// Equal but for when who changed what.
fn same(before: &Value, after: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        if let Some(owners) = object["metadata"]["managedFields"].as_array_mut() {
            for owner in owners.iter_mut() {
                owner["time"] = Value::Null;
            }
            owners.sort_by_key(ToString::to_string);
        }
        object
    };
    timeless(before) == timeless(after)
}

fn immutable(key: &Key, live: &Value, applied: &Value) -> Result<(), Value> {
    let fixed: &[&str] = match key.kind.as_str() {
        "Deployment" => &["selector"],
        "StatefulSet" => &["selector", "volumeClaimTemplates", "serviceName"],
        _ => &[],
    };
    for field in fixed {
        let (was, is) = (&live["spec"][field], &applied["spec"][field]);
        if !is.is_null() && was != is {
            let field = format!("spec.{field}");
            let message =
                format!("{} {:?} is invalid: {field}: Invalid value: {is}: field is immutable", key.kind, key.name);
            let cause = json!({"reason": "FieldValueInvalid", "message": format!("Invalid value: {is}: field is immutable"), "field": field});
            return Err(status(
                422,
                "Invalid",
                &message,
                json!({"name": key.name, "kind": key.kind, "causes": [cause]}),
            ));
        }
    }
    Ok(())
}
