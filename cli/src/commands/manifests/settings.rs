//! Settings of the platform in manifests, by the settings' own rules: whatever way they came there, pods that can't read them do
//! not start.

use std::collections::BTreeMap;

use card_core::settings::{Layers, SettingsError, variable};
use card_manifests::{Finding, Level};
use serde_json::Value;

use crate::failure::Failure;
use card_core::exit::Exit;

const PREFIX: &str = "CARDCTL_";
const RULE: &str = "setting";
/// Variables of the programs with that prefix that are no settings.
const OTHERS: [&str; 18] = [
    "CARDCTL_ASSIGNMENT",
    "CARDCTL_COMPONENT",
    "CARDCTL_CONFIG",
    "CARDCTL_DATABASE",
    "CARDCTL_DATABASE_FILE",
    "CARDCTL_HEALTH_ADDRESS",
    "CARDCTL_ISSUER_ADDRESS",
    "CARDCTL_ISSUER_URL",
    "CARDCTL_LEDGER",
    "CARDCTL_OPERATOR_TOKEN",
    "CARDCTL_OPERATOR_TOKEN_FILE",
    "CARDCTL_PLAIN_HTTP",
    "CARDCTL_REDIS",
    "CARDCTL_REDIS_FILE",
    "CARDCTL_SIGNING_KEY",
    "CARDCTL_SIGNING_KEY_FILE",
    "CARDCTL_URL",
    "CARDCTL_WORKERS",
];

/// Those of `--set`, together.
pub(super) fn check(pairs: &[(String, String)]) -> Result<(), Failure> {
    let mut layers = Layers::built_in();
    let tried = pairs.iter().try_for_each(|(name, value)| layers.flag(name, value, "--set").map(drop));
    let Err(error) = tried.and_then(|()| layers.resolve().map(drop)) else { return Ok(()) };
    let fix = match &error {
        SettingsError::UnknownKey { suggestion: Some(known), .. } => format!("--set {known}=VALUE"),
        _ => "docs/operations.md lists the settings and their values".to_owned(),
    };
    Err(Failure::new("usage", Exit::Usage, error.to_string()).fix(fix))
}

/// Those in ConfigMaps and in the environment of containers.
pub(super) fn findings(objects: &[Value]) -> Vec<Finding> {
    objects
        .iter()
        .flat_map(|object| places(object).into_iter().flat_map(|(path, found)| of_place(object, &path, found)))
        .collect()
}

type Variables = BTreeMap<String, String>;

/// Where an object has variables, by path.
fn places(object: &Value) -> Vec<(String, Variables)> {
    let mut found = Vec::new();
    if object["kind"] == "ConfigMap" {
        let data = object["data"].as_object().into_iter().flatten();
        let texts = data.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        found.push(("data".to_owned(), texts.collect()));
    }
    containers(object, String::new(), &mut found);
    found
}

fn containers(value: &Value, path: String, found: &mut Vec<(String, Variables)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => {
            if fields.contains_key("image")
                && let Some(Value::Array(variables)) = fields.get("env")
            {
                let text = |variable: &Value, field: &str| variable[field].as_str().map(ToOwned::to_owned);
                let pairs =
                    variables.iter().filter_map(|variable| Some((text(variable, "name")?, text(variable, "value")?)));
                found.push((below("env"), pairs.collect()));
            }
            fields.iter().for_each(|(name, value)| containers(value, below(name), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| containers(item, format!("{path}[{index}]"), found));
        }
        _ => {}
    }
}

fn of_place(object: &Value, path: &str, variables: Variables) -> Vec<Finding> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = format!("{}/{}", text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]));
    let finding = |name: &str, level, message: String| {
        let path = if name.is_empty() { path.to_owned() } else { format!("{path}.{name}") };
        Finding { object: named.clone(), path, rule: RULE, message, level }
    };
    let known: BTreeMap<String, String> = keys().into_iter().map(|key| (variable(&key), key)).collect();
    let ours: Variables = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let mut findings = Vec::new();
    for name in ours.keys().filter(|name| !known.contains_key(*name) && !OTHERS.contains(&name.as_str())) {
        let nearest = known.keys().min_by_key(|known| strsim::levenshtein(known, name));
        let nearest = nearest.filter(|known| strsim::levenshtein(known, name) <= 4);
        let hint = nearest.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
        findings.push(finding(name, Level::Error, format!("no such setting{hint}")));
    }
    let mut layers = Layers::built_in();
    let told = |error: &SettingsError| match error {
        SettingsError::Value { key, message, .. } if known.values().any(|known| known == key) => {
            (variable(key), message.clone())
        }
        other => (String::new(), other.to_string()),
    };
    for (name, value) in &ours {
        if let Err(error) = layers.environment([(name.clone(), value.clone())]) {
            let (name, message) = told(&error);
            findings.push(finding(&name, Level::Error, message));
        }
    }
    if let Err(error) = layers.resolve() {
        let (name, message) = told(&error);
        findings.push(finding(&name, Level::Error, message));
    }
    findings
}

/// Every setting that there is.
fn keys() -> Vec<String> {
    Layers::built_in().resolve().map(|resolved| resolved.origins.into_keys().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(pairs: &[(&str, &str)]) -> Result<(), String> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&pairs).map_err(|failure| failure.message)
    }

    #[test]
    fn names_and_values_are_those_of_the_settings() {
        assert_eq!(checked(&[("worker.concurrency", "64"), ("log.level", "debug")]), Ok(()));
        for (name, value, reason) in [
            (
                "wroker.concurrency",
                "64",
                "--set: no such setting: \"wroker.concurrency\"; did you mean \"worker.concurrency\"?",
            ),
            ("worker.concurrency", "banana", "--set: worker.concurrency: must be a whole number"),
            ("worker.concurrency", "0", "--set: worker.concurrency: "),
            ("worker.lease", "soon", "--set: worker.lease: "),
        ] {
            let error = checked(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn those_of_config_maps_and_containers_are_looked_at() {
        let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"},
            "data": {"CARDCTL_WROKER_CONCURRENCY": "64", "CARDCTL_WORKER_CONCURRENCY": "banana", "OTHER": "x"}});
        let env =
            json!([{"name": "CARDCTL_WORKER_LEASE", "value": "soon"}, {"name": "CARDCTL_LOG_LEVEL", "value": "info"}]);
        let pods = json!({"kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i", "env": env}]}}}});
        let found: Vec<_> = findings(&[settings, pods]).iter().map(|finding| finding.to_string()).collect();
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(
            found[0].starts_with(
                "configmap/s data.CARDCTL_WROKER_CONCURRENCY: no such setting; did you mean CARDCTL_WORKER_CONCURRENCY?"
            ),
            "{found:#?}"
        );
        assert!(
            found[1].starts_with("configmap/s data.CARDCTL_WORKER_CONCURRENCY: must be a whole number"),
            "{found:#?}"
        );
        assert!(
            found[2].starts_with("deployment/d spec.template.spec.containers[0].env.CARDCTL_WORKER_LEASE: "),
            "{found:#?}"
        );
    }
}
