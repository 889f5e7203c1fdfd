//! What the cluster serves.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::{Call, ClusterError, Link};

/// A kind of object, and where it is served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
    verbs: Vec<String>,
}

/// All of them, the preferred version of each first.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    all: Vec<Kind>,
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

impl Kind {
    fn core(kind: &str, plural: &str, namespaced: bool) -> Self {
        let [kind, plural] = [kind, plural].map(ToOwned::to_owned);
        let verbs = ["list", "delete"].map(ToOwned::to_owned).to_vec();
        Self { group: String::new(), version: "v1".to_owned(), kind, plural, namespaced, verbs }
    }

    pub(crate) fn namespaces() -> Self {
        Self::core("Namespace", "namespaces", false)
    }

    pub(crate) fn config_maps() -> Self {
        Self::core("ConfigMap", "configmaps", true)
    }

    pub(crate) fn secrets() -> Self {
        Self::core("Secret", "secrets", true)
    }

    pub(crate) fn claims() -> Self {
        Self::core("PersistentVolumeClaim", "persistentvolumeclaims", true)
    }

    /// As RBAC and `kubectl` name it: `deployments.apps`.
    pub(crate) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// As an ApplySet names it: `Deployment.apps`, `ConfigMap`.
    pub(crate) fn group_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    pub(crate) fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

impl Kinds {
    /// The kind of a manifest.
    pub(crate) fn find(&self, group: &str, version: &str, kind: &str) -> Option<&Kind> {
        self.all.iter().find(|known| known.group == group && known.version == version && known.kind == kind)
    }

    /// By the name that an ApplySet uses, in the version that the cluster prefers.
    pub(crate) fn group_kind(&self, name: &str) -> Option<&Kind> {
        self.all.iter().find(|kind| kind.group_kind() == name)
    }

    /// Each once, in the preferred version, as far as it can be listed and deleted.
    pub(crate) fn deletable(&self) -> impl Iterator<Item = &Kind> {
        let mut seen = BTreeSet::new();
        let can = |kind: &&Kind| kind.can("list") && kind.can("delete");
        self.all.iter().filter(can).filter(move |kind| seen.insert((kind.group.clone(), kind.kind.clone())))
    }

    /// In two requests where the server can do that (1.26 and later), else one for each version of a group.
    pub(super) async fn discover(link: &Link) -> Result<Self, ClusterError> {
        let (core, groups) =
            tokio::try_join!(link.send(Call::path("/api", AGGREGATED)), link.send(Call::path("/apis", AGGREGATED)))?;
        if core.body["kind"] == "APIGroupDiscoveryList" && groups.body["kind"] == "APIGroupDiscoveryList" {
            let all = [core.body, groups.body].iter().flat_map(aggregated).collect();
            return Ok(Self { all });
        }
        Self::one_by_one(link, &groups.body).await
    }

    async fn one_by_one(link: &Link, groups: &Value) -> Result<Self, ClusterError> {
        let mut versions = vec!["/api/v1".to_owned()];
        for group in list(&groups["groups"]) {
            let preferred = text(&group["preferredVersion"]["groupVersion"]);
            let rest = list(&group["versions"]).iter().map(|version| text(&version["groupVersion"]));
            let rest = rest.filter(|version| *version != preferred);
            versions.extend(std::iter::once(preferred.clone()).chain(rest).map(|version| format!("/apis/{version}")));
        }
        let answers = stream::iter(versions).map(|path| async move {
            match link.send(Call::path(&path, "application/json")).await {
                Ok(answer) => Ok(of_version(&answer.body)),
                // One extension server that is down does not hide the rest.
                Err(ClusterError::Refused { code: 404 | 500.., .. }) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        });
        let all: Vec<Vec<Kind>> = answers.buffered(8).try_collect().await?;
        Ok(Self { all: all.into_iter().flatten().collect() })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn verbs(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

fn aggregated(document: &Value) -> Vec<Kind> {
    let mut all = Vec::new();
    for group in list(&document["items"]) {
        for version in list(&group["versions"]) {
            all.extend(list(&version["resources"]).iter().map(|resource| Kind {
                group: text(&group["metadata"]["name"]),
                version: text(&version["version"]),
                kind: text(&resource["responseKind"]["kind"]),
                plural: text(&resource["resource"]),
                namespaced: resource["scope"] == "Namespaced",
                verbs: verbs(&resource["verbs"]),
            }));
        }
    }
    all
}

fn of_version(document: &Value) -> Vec<Kind> {
    let group_version = text(&document["groupVersion"]);
    let (group, version) = group_version.split_once('/').unwrap_or(("", &group_version));
    let resources = list(&document["resources"]).iter().filter(|resource| !text(&resource["name"]).contains('/'));
    resources
        .map(|resource| Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(&resource["kind"]),
            plural: text(&resource["name"]),
            namespaced: resource["namespaced"] == true,
            verbs: verbs(&resource["verbs"]),
        })
        .collect()
}
