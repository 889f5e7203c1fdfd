//! What the parent of the set says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ID, KINDS, NAMESPACES, Release, TOOLING};
use crate::owner::Owner;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The instance whose objects these are.
    pub instance: String,
    /// Of the cardctl that wrote it last.
    pub version: String,
    /// The kinds of which there may be members, such as `Deployment.apps`.
    pub kinds: BTreeSet<String>,
    /// Namespaces besides its own in which there may be members.
    pub namespaces: BTreeSet<String>,
    pub(super) uid: String,
    pub(super) resource_version: String,
}

impl Parent {
    pub(super) fn new(release: &Release) -> Self {
        Self {
            instance: release.instance.clone(),
            version: release.version.clone(),
            kinds: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            uid: String::new(),
            resource_version: String::new(),
        }
    }

    pub(super) fn of(object: &Value, owner: &Owner) -> Self {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let annotation = |name: &str| text(&metadata["annotations"][name]);
        let list = |name: &str| {
            annotation(name).split(',').map(str::trim).filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
        };
        Self {
            instance: annotation(&owner.annotation("instance")),
            version: annotation(&owner.annotation("version")),
            kinds: list(KINDS),
            namespaces: list(NAMESPACES),
            uid: text(&metadata["uid"]),
            resource_version: text(&metadata["resourceVersion"]),
        }
    }

    pub(super) fn document(&self, id: &str, owner: &Owner) -> Value {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(",");
        let mut annotations = json!({TOOLING: owner.tooling(&self.version), KINDS: list(&self.kinds),
            (owner.annotation("instance")): self.instance, (owner.annotation("version")): self.version});
        // Null takes it away in a merge patch.
        annotations[NAMESPACES] = if self.namespaces.is_empty() { Value::Null } else { json!(list(&self.namespaces)) };
        if self.uid.is_empty()
            && let Some(annotations) = annotations.as_object_mut()
        {
            annotations.retain(|_, value| !value.is_null());
        }
        let mut labels = owner.labels(&self.instance);
        labels[ID] = json!(id);
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": owner.parent(), "labels": labels, "annotations": annotations}})
    }
}
