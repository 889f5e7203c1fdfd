//! The kinds of objects that the manifests have, and the order in which they are applied.

use serde_json::{Map, Value};

/// Each kind before those that need it: walls before what they protect, what is mounted before what mounts it, autoscalers
/// after what they scale.
const ORDER: [&str; 18] = [
    "Namespace",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "Role",
    "RoleBinding",
    "PersistentVolumeClaim",
    "Service",
    "StatefulSet",
    "DaemonSet",
    "Deployment",
    "Job",
    "CronJob",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "ScaledObject",
    "Ingress",
];

/// Puts objects into the order in which they are to be applied; the same set always in the same order. Kinds that are not
/// known come last.
pub fn in_apply_order(objects: &mut [Value]) {
    objects.sort_by_cached_key(|object| {
        let kind = text(object, "kind");
        let place = ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len());
        let metadata = &object["metadata"];
        (place, kind.to_owned(), text(metadata, "namespace").to_owned(), text(metadata, "name").to_owned())
    });
}

/// Whether objects of a kind belong to the whole cluster. None for a kind that is not known here.
pub(crate) fn is_cluster_wide(kind: &str) -> Option<bool> {
    ORDER.contains(&kind).then_some(kind == "Namespace")
}

/// Where an object of a kind keeps the pods that it makes.
pub(crate) fn pod_template(kind: &str) -> Option<&'static str> {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => Some("/spec/template"),
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// A field that is text; empty if it is none.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A mapping inside of a value, made if there is none.
///
/// # Errors
/// There is something else.
pub(crate) fn mapping<'a>(value: &'a mut Value, path: &[&str]) -> Result<&'a mut Map<String, Value>, String> {
    let mut at = value;
    for field in path {
        let Some(fields) = at.as_object_mut() else { return Err(format!("{} is not a mapping", path.join("."))) };
        at = fields.entry(*field).or_insert(Value::Null);
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
    }
    at.as_object_mut().ok_or_else(|| format!("{} is not a mapping", path.join(".")))
}

/// As `kubectl` names an object: `deployment/server`.
pub(crate) fn named(object: &Value) -> String {
    format!("{}/{}", text(object, "kind").to_lowercase(), text(&object["metadata"], "name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_need_comes_first_and_a_set_has_one_order() {
        let object = |kind: &str, name: &str| json!({"kind": kind, "metadata": {"name": name}});
        let mut objects = vec![
            object("Widget", "w"),
            object("Deployment", "b"),
            object("Deployment", "a"),
            object("ConfigMap", "c"),
            object("Namespace", "n"),
        ];
        in_apply_order(&mut objects);
        let names: Vec<_> = objects.iter().map(named).collect();
        assert_eq!(names, ["namespace/n", "configmap/c", "deployment/a", "deployment/b", "widget/w"]);
    }
}
