//! Which object is meant.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names an object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Such as `apps`; empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// None for what belongs to the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    pub name: String,
}

impl ObjectRef {
    /// Of an object as it is in a manifest. None if it has no kind or no name.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let api_version = object["apiVersion"].as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let metadata = &object["metadata"];
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: object["kind"].as_str()?.to_owned(),
            namespace: metadata["namespace"].as_str().map(ToOwned::to_owned),
            name: metadata["name"].as_str()?.to_owned(),
        })
    }

    /// As manifests write it: `apps/v1`, `v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for ObjectRef {
    /// As `kubectl` names it: `deployment/server`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_named_as_kubectl_names_it() {
        let deployment =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "server", "namespace": "n"}});
        let named = ObjectRef::of(&deployment).unwrap();
        assert_eq!((named.to_string().as_str(), named.api_version().as_str()), ("deployment/server", "apps/v1"));
        let service =
            ObjectRef::of(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}})).unwrap();
        assert_eq!((service.group.as_str(), service.api_version().as_str(), service.namespace), ("", "v1", None));
        assert_eq!(ObjectRef::of(&json!({"kind": "Service"})), None);
    }
}
