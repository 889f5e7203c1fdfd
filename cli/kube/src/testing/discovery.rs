//! What the server says that it serves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::Kind;

const VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

/// The answer to a path of discovery; None if it is another path.
pub(super) fn answer(path: &str, accept: &str, kinds: &[Kind], aggregated: bool) -> Option<Value> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = aggregated && accept.contains("APIGroupDiscoveryList");
    match parts.as_slice() {
        ["api"] if aggregated => Some(all(kinds.iter().filter(|kind| kind.group.is_empty()))),
        ["apis"] if aggregated => Some(all(kinds.iter().filter(|kind| !kind.group.is_empty()))),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis"] => Some(json!({"kind": "APIGroupList", "groups": groups(kinds).into_iter().map(|(group, versions)| {
            let versions: Vec<Value> = versions.keys().map(|version| {
                json!({"groupVersion": format!("{group}/{version}"), "version": version})
            }).collect();
            json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
        }).collect::<Vec<_>>()})),
        ["api", version] => resources("", version, kinds),
        ["apis", group, version] => resources(group, version, kinds),
        ["version"] => {
            Some(json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}))
        }
        _ => None,
    }
}

fn groups(kinds: &[Kind]) -> BTreeMap<&str, BTreeMap<&str, Vec<&Kind>>> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<&Kind>>> = BTreeMap::new();
    for kind in kinds.iter().filter(|kind| !kind.group.is_empty()) {
        groups.entry(&kind.group).or_default().entry(&kind.version).or_default().push(kind);
    }
    groups
}

fn all<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Value {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
    for kind in kinds {
        groups.entry(&kind.group).or_default().entry(&kind.version).or_default().push(json!({
            "resource": kind.plural, "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "verbs": VERBS,
            "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind}}));
    }
    let items = groups.into_iter().map(|(group, versions)| {
        let versions = versions
            .into_iter()
            .map(|(version, resources)| json!({"version": version, "resources": resources, "freshness": "Current"}));
        json!({"metadata": {"name": group}, "versions": versions.collect::<Vec<_>>()})
    });
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items.collect::<Vec<_>>()})
}

fn resources(group: &str, version: &str, kinds: &[Kind]) -> Option<Value> {
    let of: Vec<&Kind> = kinds.iter().filter(|kind| kind.group == group && kind.version == version).collect();
    let first = of.first()?;
    Some(json!({"kind": "APIResourceList", "groupVersion": first.api_version(), "resources": of.iter().map(|kind| {
        json!({"name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": VERBS})
    }).collect::<Vec<_>>()}))
}
