//! Under which name things are ours in a cluster: the caller says it, once, and all that is written follows from it.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The program that writes, and what it belongs to. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(Arc<str>);

impl Owner {
    /// Of a name that may be that of an object, and the prefix of a label: `cardctl`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The field manager.
    #[must_use]
    pub fn manager(&self) -> &str {
        &self.0
    }

    /// The field manager that holds replicas until their autoscaler changes them for the first time.
    pub(crate) fn handover(&self) -> String {
        format!("{}-handover", self.0)
    }

    /// The name of the inventory's parent.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.0
    }

    /// The id of the inventory of a namespace: `applyset-<base64url(sha256(name.namespace.kind.group))>-v1`.
    #[must_use]
    pub fn inventory(&self, namespace: &str) -> String {
        let hash = Sha256::digest(format!("{}.{namespace}.ConfigMap.", self.parent()));
        format!("applyset-{}-v1", BASE64_URL_SAFE_NO_PAD.encode(hash))
    }

    /// An annotation of ours, such as `cardctl/instance`.
    pub(crate) fn annotation(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// On what only a purge deletes.
    pub(crate) fn keep(&self) -> String {
        self.annotation("keep")
    }

    /// On a namespace that we made; what is not so marked is not deleted.
    pub(crate) fn made_by(&self) -> String {
        self.annotation("made-by")
    }

    /// What a program says of itself in an annotation of the parent.
    pub(crate) fn tooling(&self, version: &str) -> String {
        format!("{}/v{version}", self.0)
    }

    /// The labels of what is made besides the objects, for an instance.
    pub(crate) fn labels(&self, instance: &str) -> Value {
        json!({"app.kubernetes.io/part-of": *self.0, "app.kubernetes.io/instance": instance,
            "app.kubernetes.io/managed-by": *self.0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_one_that_kubectl_computes() {
        // printf 'cardctl.cardctl.ConfigMap.' | openssl dgst -sha256 -binary | basenc --base64url | tr -d =
        let owner = Owner::new("cardctl");
        assert_eq!(owner.inventory("cardctl"), "applyset-ATkbkKo7S4mk5QXTH3MEac52-pVrevKxbLviu1P5xRU-v1");
        assert_ne!(owner.inventory("cards"), owner.inventory("cardctl"));
        assert_ne!(owner.inventory("cards"), Owner::new("other").inventory("cards"));
    }
}
