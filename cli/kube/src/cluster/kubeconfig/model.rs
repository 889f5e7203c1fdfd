//! What a kubeconfig may say, field by field as `kubectl` knows it (client-go, `clientcmd/api/v1`). Other fields are ignored.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize as Read;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// All of it; of several files, merged. No `Debug`: it is full of secrets.
#[derive(Clone, Default, Read)]
#[serde(default, rename_all = "kebab-case")]
pub(in crate::cluster) struct Kubeconfig {
    #[serde(rename = "apiVersion")]
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(deserialize_with = "list")]
    pub(super) clusters: Vec<NamedCluster>,
    #[serde(deserialize_with = "list")]
    pub(super) users: Vec<NamedUser>,
    #[serde(deserialize_with = "list")]
    pub(super) contexts: Vec<NamedContext>,
    pub(super) current_context: String,
}

#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct NamedCluster {
    pub(super) name: String,
    pub(super) cluster: Cluster,
}

#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct NamedUser {
    pub(super) name: String,
    pub(super) user: User,
}

#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct NamedContext {
    pub(super) name: String,
    pub(super) context: Context,
}

#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct Context {
    pub(super) cluster: String,
    pub(super) user: String,
}

/// Where a cluster is, and how its server is known.
#[derive(Clone, Default, Read)]
#[serde(default, rename_all = "kebab-case")]
pub(in crate::cluster) struct Cluster {
    pub(in crate::cluster) server: String,
    pub(in crate::cluster) tls_server_name: String,
    pub(in crate::cluster) insecure_skip_tls_verify: bool,
    pub(in crate::cluster) certificate_authority: String,
    #[serde(deserialize_with = "data")]
    pub(in crate::cluster) certificate_authority_data: Vec<u8>,
    pub(in crate::cluster) proxy_url: String,
    pub(in crate::cluster) disable_compression: bool,
    #[serde(deserialize_with = "list")]
    pub(in crate::cluster) extensions: Vec<Extension>,
}

/// What a tool leaves for itself.
#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct Extension {
    pub(in crate::cluster) name: String,
    pub(in crate::cluster) extension: Value,
}

/// Who asks.
#[derive(Clone, Default, Read)]
#[serde(default, rename_all = "kebab-case")]
pub(in crate::cluster) struct User {
    pub(in crate::cluster) client_certificate: String,
    #[serde(deserialize_with = "data")]
    pub(in crate::cluster) client_certificate_data: Vec<u8>,
    pub(in crate::cluster) client_key: String,
    #[serde(deserialize_with = "data")]
    pub(in crate::cluster) client_key_data: Vec<u8>,
    pub(in crate::cluster) token: String,
    #[serde(rename = "tokenFile")]
    pub(in crate::cluster) token_file: String,
    #[serde(rename = "as")]
    pub(in crate::cluster) impersonate: String,
    #[serde(rename = "as-uid")]
    pub(in crate::cluster) impersonate_uid: String,
    #[serde(rename = "as-groups", deserialize_with = "list")]
    pub(in crate::cluster) impersonate_groups: Vec<String>,
    #[serde(rename = "as-user-extra", deserialize_with = "lists")]
    pub(in crate::cluster) impersonate_extra: BTreeMap<String, Vec<String>>,
    pub(in crate::cluster) username: String,
    pub(in crate::cluster) password: String,
    pub(in crate::cluster) auth_provider: Option<Provider>,
    pub(in crate::cluster) exec: Option<Exec>,
}

/// Built into `kubectl` until 1.26; only its name is of use.
#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct Provider {
    pub(in crate::cluster) name: String,
}

/// A program that says who asks.
#[derive(Clone, Default, Read)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cluster) struct Exec {
    pub(in crate::cluster) command: String,
    #[serde(deserialize_with = "list")]
    pub(in crate::cluster) args: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub(in crate::cluster) env: Vec<Variable>,
    pub(in crate::cluster) api_version: String,
    pub(in crate::cluster) install_hint: String,
    pub(in crate::cluster) provide_cluster_info: bool,
    pub(in crate::cluster) interactive_mode: String,
}

#[derive(Clone, Default, Read)]
#[serde(default)]
pub(in crate::cluster) struct Variable {
    pub(in crate::cluster) name: String,
    pub(in crate::cluster) value: String,
}

impl Kubeconfig {
    /// Of a document that was read. Where it says nothing, or null, it is as if the field were not there.
    ///
    /// # Errors
    /// A field is of the wrong type. The sentence has its path and never its value.
    pub(super) fn of(mut document: Value) -> Result<Self, String> {
        without_nulls(&mut document);
        if document.is_null() {
            return Ok(Self::default());
        }
        mappings(
            &document,
            "",
            &[
                "clusters[].cluster.extensions[]",
                "users[].user.exec.env[]",
                "users[].user.auth-provider",
                "contexts[].context",
            ],
        )?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let path = error.path().to_string();
            let text = error.inner().to_string();
            // What comes before repeats the value.
            let wanted = text.rsplit_once("expected ").map_or(text.as_str(), |(_, wanted)| wanted);
            let wanted = if wanted.starts_with("struct ") { "a mapping" } else { wanted };
            let wanted = if wanted.starts_with("invalid") { "something else" } else { wanted };
            format!("{path} must be {wanted}")
        })
    }
}

/// That what is to be a mapping is one: a list would do for the reader of types, by the order of its items.
fn mappings(document: &Value, at: &str, paths: &[&str]) -> Result<(), String> {
    if !document.is_null() && !document.is_object() {
        return Err(format!("{} must be a mapping", if at.is_empty() { "it" } else { at }));
    }
    for path in paths {
        let (field, rest) = path.split_once('.').map_or((*path, None), |(field, rest)| (field, Some(rest)));
        let (name, is_list) = field.strip_suffix("[]").map_or((field, false), |name| (name, true));
        let inside = [rest.unwrap_or_default()];
        let inside = if rest.is_some() { &inside[..] } else { &[] };
        let value = &document[name];
        let at = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        if is_list {
            let mut items = value.as_array().into_iter().flatten().enumerate();
            items.try_for_each(|(index, item)| mappings(item, &format!("{at}[{index}]"), inside))?;
        } else {
            mappings(value, &at, inside)?;
        }
    }
    Ok(())
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// An item that is null is an empty one.
fn list<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Option<T>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(Option::unwrap_or_default).collect())
}

fn lists<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let items = BTreeMap::<String, Vec<Option<String>>>::deserialize(deserializer)?;
    Ok(items
        .into_iter()
        .map(|(name, items)| (name, items.into_iter().map(Option::unwrap_or_default).collect()))
        .collect())
}

/// Bytes in base64, over any number of lines.
fn data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let mut text = String::deserialize(deserializer)?;
    text.retain(|character| !matches!(character, '\r' | '\n'));
    BASE64_STANDARD.decode(text).map_err(|_| D::Error::custom("expected base64"))
}
