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
    /// Groups of which it is not known what is in them, each with the reason.
    silent: Vec<(String, ClusterError)>,
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

    /// Why it is not known what is in a group, if it is not: whoever serves it does not answer.
    pub(crate) fn silent(&self, group: &str) -> Option<&ClusterError> {
        self.silent.iter().find(|(known, _)| known == group).map(|(_, error)| error)
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
            let all = [&core.body, &groups.body].into_iter().flat_map(aggregated).collect();
            let silent = stale(&groups.body).map(|group| (group.clone(), link.stale(&group))).collect();
            return Ok(Self { all, silent });
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
            let answer = link.send(Call::path(&path, "application/json").once()).await;
            match answer {
                Ok(answer) => Ok((of_version(&answer.body), None)),
                Err(error) if path == "/api/v1" => Err(error),
                Err(error) if error.is_not_found() => Ok((Vec::new(), None)),
                // One extension server that is down, or does not know us, does not hide the rest.
                Err(error) => match path.split('/').nth(2) {
                    Some(group) if error.is_answer() => Ok((Vec::new(), Some((group.to_owned(), error)))),
                    _ => Err(error),
                },
            }
        });
        let answers: Vec<(Vec<Kind>, Option<_>)> = answers.buffered(8).try_collect().await?;
        let (all, silent): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        Ok(Self { all: all.into_iter().flatten().collect(), silent: silent.into_iter().flatten().collect() })
    }
}

impl Link {
    /// What the server says of an extension server that did not answer it.
    fn stale(&self, group: &str) -> ClusterError {
        let message = format!("whoever serves the group {group} does not answer: see kubectl get apiservices");
        let status = Box::new(kube::core::Status::failure(&message, "ServiceUnavailable"));
        ClusterError::Refused { server: self.server.clone(), code: 503, status }
    }
}

/// Groups of which the server has nothing current, and nothing of before.
fn stale(document: &Value) -> impl Iterator<Item = String> {
    let empty = |version: &Value| version["freshness"] == "Stale" && list(&version["resources"]).is_empty();
    let of_group =
        move |group: &Value| list(&group["versions"]).iter().any(empty).then(|| text(&group["metadata"]["name"]));
    list(&document["items"]).iter().filter_map(of_group).collect::<Vec<_>>().into_iter()
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
