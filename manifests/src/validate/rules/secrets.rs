//! Secrets are not in manifests: those lie in repositories, histories and logs. Whatever is found is named, never shown.

use serde_json::Value;

use super::super::{Finding, Level, finding};
use crate::kinds::text;

const RULE: &str = "secret-value";

pub(super) fn check(object: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    if text(object, "kind") == "Secret" {
        for field in ["data", "stringData"] {
            if object[field].as_object().is_some_and(|values| !values.is_empty()) {
                let message =
                    "a secret's values don't belong in a manifest; let `cardctl up` create it, or create it by hand";
                findings.push(finding(object, RULE, Level::Error, field, message));
            }
        }
    }
    walk(object, "", &mut |path, value| {
        if let Some(message) = suspicion(path, value) {
            findings.push(finding(object, RULE, Level::Error, path, message));
        }
    });
    findings
}

fn suspicion(path: &str, value: &Value) -> Option<&'static str> {
    if let Some(text) = value.as_str() {
        return has_credentials(text)
            .then_some("this is a URL with a password in it; keep it in the secret and name its file");
    }
    let name = value["name"].as_str()?;
    let is_variable = path.contains(".env[");
    let is_secret = ["PASSWORD", "TOKEN", "SECRET", "SIGNING_KEY", "DATABASE_URL", "REDIS_URL"]
        .iter()
        .any(|word| name.contains(word));
    // Addresses that may hold a password.
    let is_secret = (is_secret || ["CARDCTL_DATABASE", "CARDCTL_REDIS"].contains(&name)) && !name.ends_with("_FILE");
    if !is_variable || !is_secret {
        return None;
    }
    if value["value"].as_str().is_some_and(|value| !value.is_empty()) {
        Some("this variable holds a secret; mount the secret as a file and name that with …_FILE")
    } else {
        let from_secret = !value["valueFrom"]["secretKeyRef"].is_null();
        from_secret.then_some("an environment can be read in /proc and is inherited; mount the secret as a file and name that with …_FILE")
    }
}

/// `scheme://user:password@host`.
fn has_credentials(text: &str) -> bool {
    text.match_indices("://").any(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let authority = rest.split(|character: char| "/?# \n\"'".contains(character)).next().unwrap_or_default();
        let login = authority.rsplit_once('@').map(|(login, _)| login);
        login.and_then(|login| login.split_once(':')).is_some_and(|(_, password)| {
            // A placeholder is none.
            !password.is_empty() && !password.starts_with(['$', '<', '{'])
        })
    })
}

fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                walk(value, &path, visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{index}]"), visit);
            }
        }
        _ => {}
    }
}
