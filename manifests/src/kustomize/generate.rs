//! ConfigMaps out of a kustomization, and the hashes in their names.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Resource;
use super::file::{Behavior, ConfigMap};
use crate::kinds::{self, pod_template, text};

/// Makes or changes one.
pub(super) fn config_map(
    generator: &ConfigMap,
    read: impl Fn(&str) -> Option<String>,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    let name = &generator.name;
    let mut data = Map::new();
    for literal in &generator.literals {
        let (key, value) = literal.split_once('=').ok_or_else(|| format!("{literal} is not KEY=value"))?;
        if value.starts_with(['"', '\'']) {
            return Err(format!("{literal}: quotes around a value are not supported; leave them away"));
        }
        data.insert(key.to_owned(), value.into());
    }
    for path in &generator.files {
        if path.contains('=') {
            return Err(format!("{path}: a key for a file is not supported; name the file as the key"));
        }
        let content = read(path).ok_or_else(|| format!("there is no {path}"))?;
        data.insert(path.rsplit('/').next().unwrap_or(path).to_owned(), content.into());
    }
    let there = resources.iter_mut().find(|resource| resource.is("ConfigMap", name));
    match (generator.behavior, there) {
        (Behavior::Create, Some(_)) => Err(format!("configmap/{name} is given twice")),
        (Behavior::Merge, None) => Err(format!("there is no configmap/{name} to merge with")),
        (Behavior::Create, None) => {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
            resources.push(Resource { object, hashed: true });
            Ok(())
        }
        (Behavior::Merge, Some(there)) => {
            if let Some(known) = there.object["data"].as_object_mut() {
                known.extend(data);
            }
            Ok(())
        }
    }
}

/// Gives hashed ConfigMaps their names, and changes every reference to them.
pub(super) fn hash_names(resources: &mut [Resource]) {
    let mut renamed = BTreeMap::new();
    for resource in resources.iter_mut().filter(|resource| resource.hashed) {
        let name = text(&resource.object["metadata"], "name").to_owned();
        let hashed = format!("{name}-{}", hash(&resource.object["data"]));
        if let Ok(metadata) = kinds::mapping(&mut resource.object, &["metadata"]) {
            metadata.insert("name".to_owned(), hashed.clone().into());
            renamed.insert(name, hashed);
        }
    }
    for resource in resources {
        let Some(pod) = pod_template(text(&resource.object, "kind")) else { continue };
        if let Some(pod) = resource.object.pointer_mut(pod) {
            rename(pod, &renamed);
        }
    }
}

/// In everything that refers to a ConfigMap by name: `configMap`, `configMapRef`, `configMapKeyRef`.
fn rename(value: &mut Value, renamed: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                if matches!(field.as_str(), "configMap" | "configMapRef" | "configMapKeyRef")
                    && let Some(hashed) = renamed.get(kinds::text(inner, "name"))
                {
                    // It has a name, so it is a mapping.
                    inner["name"] = hashed.clone().into();
                }
                rename(inner, renamed);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        _ => {}
    }
}

/// As kustomize does it: ten characters of the SHA-256 of the ConfigMap, without its name, as Go writes it in JSON, with letters
/// for digits and vowels that could make words.
fn hash(data: &Value) -> String {
    // Sorted, whatever the map keeps.
    let data: BTreeMap<&String, &Value> = data.as_object().into_iter().flatten().collect();
    let data = Value::Object(data.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect());
    let canonical = format!("{{\"data\":{data},\"kind\":\"ConfigMap\",\"name\":\"\"}}");
    // Go writes these so that they do no harm in HTML, and two more that are no line ends to JSON.
    let escaped =
        [('&', "\\u0026"), ('<', "\\u003c"), ('>', "\\u003e"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")]
            .into_iter()
            .fold(canonical, |text, (character, escape)| text.replace(character, escape));
    let digest = Sha256::digest(escaped.as_bytes());
    let hexadecimal: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let safe = |digit| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hexadecimal.chars().map(safe).collect()
}
