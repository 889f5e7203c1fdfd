//! What a `kustomization.yaml` may say here. Any other field is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

/// See the module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Kustomization {
    #[serde(default)]
    pub(crate) api_version: String,
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) resources: Vec<String>,
    #[serde(default)]
    pub(crate) components: Vec<String>,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    #[serde(default)]
    pub(crate) labels: Vec<Labels>,
    #[serde(default)]
    pub(crate) images: Vec<ImageChange>,
    #[serde(default)]
    pub(crate) patches: Vec<Patch>,
    #[serde(default)]
    pub(crate) config_map_generator: Vec<ConfigMap>,
}

/// Labels for every object and for the pods that it makes; never for selectors, which can't be changed later.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Labels {
    pub(crate) pairs: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) include_templates: bool,
}

/// What is to run instead of an image.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ImageChange {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) new_name: Option<String>,
    #[serde(default)]
    pub(crate) new_tag: Option<String>,
    #[serde(default)]
    pub(crate) digest: Option<String>,
}

/// A strategic merge patch, in place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    pub(crate) patch: String,
}

/// A ConfigMap whose name ends with a hash of what is in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigMap {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) behavior: Behavior,
    /// `KEY=value`.
    #[serde(default)]
    pub(crate) literals: Vec<String>,
    /// Paths; the key is the file's name.
    #[serde(default)]
    pub(crate) files: Vec<String>,
}

/// What to do with one that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Behavior {
    /// There is none.
    #[default]
    Create,
    /// Change single keys.
    Merge,
}

impl Kustomization {
    pub(crate) fn is_component(&self) -> bool {
        self.kind == "Component"
    }

    /// That it is what it says.
    pub(crate) fn check(&self) -> Result<(), String> {
        let known = match self.kind.as_str() {
            "" | "Kustomization" => ["", "kustomize.config.k8s.io/v1beta1"],
            "Component" => ["", "kustomize.config.k8s.io/v1alpha1"],
            other => return Err(format!("kind {other} is not supported")),
        };
        if known.contains(&self.api_version.as_str()) {
            Ok(())
        } else {
            Err(format!("apiVersion {} is not supported", self.api_version))
        }
    }
}
