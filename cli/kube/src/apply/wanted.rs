//! What is to be applied, checked before anything is written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::ApplyError;
use crate::ObjectRef;
use crate::cluster::{Kind, Kinds};
use crate::inventory::PART_OF;
use crate::stage::stage;

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) object: ObjectRef,
    pub(crate) manifest: Value,
    pub(crate) stage: u8,
}

impl Wanted {
    /// In the order in which they are applied. Objects without a namespace get this one once their kind is known.
    pub(crate) fn all(manifests: &[Value], kinds: &Kinds, namespace: &str) -> Result<Vec<Self>, ApplyError> {
        let mut all = Vec::with_capacity(manifests.len());
        let mut seen = BTreeSet::new();
        let defined: BTreeSet<(&str, &str)> = manifests.iter().filter_map(defines).collect();
        for (index, manifest) in manifests.iter().enumerate() {
            let named = ObjectRef::of(manifest).map(|object| format!(", {object},")).unwrap_or_default();
            let malformed =
                |reason: &str| ApplyError::Malformed { index, named: named.clone(), reason: reason.to_owned() };
            let mut object = ObjectRef::of(manifest).ok_or_else(|| malformed("it has no apiVersion, kind or name"))?;
            if let Some(reason) = misshapen(manifest) {
                return Err(malformed(&reason));
            }
            if !manifest["metadata"]["managedFields"].is_null() {
                return Err(malformed("it was exported from a cluster: it has managedFields"));
            }
            let known = kinds.find(&object.group, &object.version, &object.kind);
            let namespaced = match known {
                Some(kind) => kind.namespaced,
                None if defined.contains(&(object.group.as_str(), object.kind.as_str())) => object.namespace.is_some(),
                None => {
                    let silent = kinds.silent(&object.group).cloned();
                    return Err(silent.map_or(ApplyError::NoSuchKind { object }, ApplyError::Cluster));
                }
            };
            let mut manifest = manifest.clone();
            if namespaced {
                let namespace = object.namespace.get_or_insert_with(|| namespace.to_owned());
                manifest["metadata"]["namespace"] = json!(namespace);
            } else {
                object.namespace = None;
            }
            if !seen.insert((object.group.clone(), object.kind.clone(), object.namespace.clone(), object.name.clone()))
            {
                return Err(ApplyError::Twice { object });
            }
            all.push(Self { stage: stage(&object.kind), object, manifest });
        }
        all.sort_by(|a, b| (a.stage, &a.object).cmp(&(b.stage, &b.object)));
        Ok(all)
    }

    /// As a member of the inventory. A namespace is none: it is not deleted by a list.
    pub(crate) fn joined(&self, id: &str) -> Value {
        let mut manifest = self.manifest.clone();
        if self.object.kind != "Namespace" {
            manifest["metadata"]["labels"][PART_OF] = json!(id);
        }
        manifest
    }

    pub(crate) fn kind<'a>(&self, kinds: &'a Kinds) -> Option<&'a Kind> {
        kinds.find(&self.object.group, &self.object.version, &self.object.kind)
    }

    /// As an ApplySet names its kind.
    pub(crate) fn group_kind(&self) -> String {
        match self.object.group.as_str() {
            "" => self.object.kind.clone(),
            group => format!("{}.{group}", self.object.kind),
        }
    }
}

/// What is not as every object has it, and would be written over or into.
fn misshapen(manifest: &Value) -> Option<String> {
    let metadata = &manifest["metadata"];
    let of_text = |field: &str| {
        let value = &metadata[field];
        let texts =
            value.as_object().is_some_and(|fields| fields.values().all(|value| value.is_string() || value.is_null()));
        (!value.is_null() && !texts).then(|| format!("metadata.{field} is not a mapping of text to text"))
    };
    let namespace = &metadata["namespace"];
    if !namespace.is_null() && !namespace.is_string() {
        return Some("metadata.namespace is not text".to_owned());
    }
    of_text("labels").or_else(|| of_text("annotations"))
}

/// The group and kind that a CRD brings.
fn defines(manifest: &Value) -> Option<(&str, &str)> {
    if manifest["kind"] != "CustomResourceDefinition" {
        return None;
    }
    Some((manifest["spec"]["group"].as_str()?, manifest["spec"]["names"]["kind"].as_str()?))
}
