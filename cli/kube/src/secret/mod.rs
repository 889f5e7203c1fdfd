//! Secrets that are made once and then kept: never overwritten, never shown, never logged.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::cluster::{Call, Cluster, ClusterError, Kind};
use crate::inventory::{Inventory, InventoryError, KEEP, PART_OF, Release, labels};
use crate::namespace;

/// What a secret is that nobody but its users knows.
const OPAQUE: &str = "Opaque";

/// Keys and what they hold. It has no `Debug`: nothing prints it by mistake.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(pub BTreeMap<String, Vec<u8>>);

/// What became of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// It was not there.
    Created,
    /// It had every key.
    Kept,
    /// These keys were missing and are there now; the others were not touched.
    Added(Vec<String>),
}

/// Why a secret was not made or used. Never with a value.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum SecretError {
    #[error("the secret {name} is not ours, and lacks {}", missing.join(", "))]
    NotOurs { name: String, missing: Vec<String> },
    #[error("no value was made for {} of the secret {name}", missing.join(", "))]
    NotGenerated { name: String, missing: Vec<String> },
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl SecretError {
    /// What helps.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::NotOurs { name, missing } => Some(format!(
                "add the keys yourself ({}), or rename the secret {name} and let cardctl make one",
                missing.join(", ")
            )),
            Self::NotGenerated { .. } => None,
            Self::Inventory(error) => error.fix(),
            Self::Cluster(error) => error.fix(),
        }
    }
}

/// Sees to it that a secret with these keys is in the namespace of the cluster, which is made if it is not there.
///
/// `generate` is given the missing keys and what is there already, since one value can depend on another. It may be
/// called more than once, and only what was stored counts.
///
/// # Errors
/// See [`SecretError`].
pub async fn ensure(
    cluster: &Cluster,
    release: &Release,
    name: &str,
    keys: &[&str],
    generate: impl FnMut(&[&str], &Values) -> Values,
) -> Result<Ensured, SecretError> {
    ensure_of_type(cluster, release, name, OPAQUE, keys, generate).await
}

/// As [`ensure`], of a type that the cluster knows, such as `kubernetes.io/tls`. The type is for a secret that is made; that of
/// one that is there can't be changed.
///
/// # Errors
/// See [`SecretError`].
pub async fn ensure_of_type(
    cluster: &Cluster,
    release: &Release,
    name: &str,
    of_type: &str,
    keys: &[&str],
    mut generate: impl FnMut(&[&str], &Values) -> Values,
) -> Result<Ensured, SecretError> {
    namespace::ensure(cluster, release).await?;
    let mut inventory = Inventory::open(cluster).await?;
    inventory.of_instance(release)?;
    let mut last = None;
    for _ in 0..5 {
        let found = cluster.find(Call::get(&Kind::secrets(), Some(cluster.namespace()), name)).await?;
        let values = found.as_ref().map(values).unwrap_or_default();
        let missing: Vec<&str> = keys.iter().copied().filter(|key| !values.0.contains_key(*key)).collect();
        if found.is_some() && missing.is_empty() {
            return Ok(Ensured::Kept);
        }
        let named = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<String>>();
        if found.as_ref().is_some_and(|found| found["metadata"]["labels"][PART_OF] != inventory.id()) {
            return Err(SecretError::NotOurs { name: name.to_owned(), missing: named(&missing) });
        }
        let made = generate(&missing, &values);
        let lacking: Vec<&str> = missing.iter().copied().filter(|key| !made.0.contains_key(*key)).collect();
        if !lacking.is_empty() {
            return Err(SecretError::NotGenerated { name: name.to_owned(), missing: named(&lacking) });
        }
        let data: Map<String, Value> = missing
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), json!(BASE64_STANDARD.encode(made.0.get(*key)?)))))
            .collect();
        let done = if found.is_some() { Ensured::Added(named(&missing)) } else { Ensured::Created };
        let call = match &found {
            Some(found) => {
                // The version: nobody may have added the same key meanwhile.
                let version = &found["metadata"]["resourceVersion"];
                let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
                Call::merge(&Kind::secrets(), Some(cluster.namespace()), name, &patch)
            }
            None => {
                inventory.widen_by(release, "Secret").await?;
                let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": of_type, "data": data,
                    "metadata": {"name": name, "labels": labels(cluster, release), "annotations": {KEEP: "until purge"}}});
                Call::create(&Kind::secrets(), Some(cluster.namespace()), &secret)
            }
        };
        match cluster.write(call).await {
            Ok(_) => return Ok(done),
            // Somebody was faster: theirs counts.
            Err(error) if error.is_conflict() || error.is_not_found() => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    // The loop ends here only with an error.
    last.map_or(Ok(Ensured::Kept), |error| Err(error.into()))
}

/// Puts other values in the place of those that a secret of ours has under these keys; the others are not touched.
///
/// # Errors
/// It is not there, it is not ours, or the cluster does not let us.
pub async fn replace(cluster: &Cluster, name: &str, values: &Values) -> Result<(), SecretError> {
    let inventory = Inventory::open(cluster).await?;
    let found = cluster.read(Call::get(&Kind::secrets(), Some(cluster.namespace()), name)).await?.body;
    if found["metadata"]["labels"][PART_OF] != inventory.id() {
        return Err(SecretError::NotOurs { name: name.to_owned(), missing: values.0.keys().cloned().collect() });
    }
    let data: Map<String, Value> =
        values.0.iter().map(|(key, value)| (key.clone(), json!(BASE64_STANDARD.encode(value)))).collect();
    let patch = json!({"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "data": data});
    cluster.write(Call::merge(&Kind::secrets(), Some(cluster.namespace()), name, &patch)).await?;
    Ok(())
}

/// Deletes a secret of ours, if it is there and still is the one that was looked at.
///
/// # Errors
/// It is not ours, or the cluster does not let us.
pub async fn remove(cluster: &Cluster, name: &str) -> Result<(), SecretError> {
    let inventory = Inventory::open(cluster).await?;
    let call = Call::get(&Kind::secrets(), Some(cluster.namespace()), name);
    let Some(found) = cluster.find(call).await? else { return Ok(()) };
    if found["metadata"]["labels"][PART_OF] != inventory.id() {
        return Err(SecretError::NotOurs { name: name.to_owned(), missing: Vec::new() });
    }
    let uid = found["metadata"]["uid"].as_str().unwrap_or_default();
    match cluster.write(Call::delete(&Kind::secrets(), Some(cluster.namespace()), name, uid, "Background")).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Which type a secret of the namespace has; None if it is not there.
///
/// # Errors
/// The cluster does not say.
pub async fn type_of(cluster: &Cluster, name: &str) -> Result<Option<String>, ClusterError> {
    let found = cluster.find(Call::get(&Kind::secrets(), Some(cluster.namespace()), name)).await?;
    Ok(found.map(|found| found["type"].as_str().unwrap_or(OPAQUE).to_owned()))
}

/// What a secret of the namespace holds; None if it is not there.
///
/// # Errors
/// The cluster does not say.
pub async fn read(cluster: &Cluster, name: &str) -> Result<Option<Values>, ClusterError> {
    let found = cluster.find(Call::get(&Kind::secrets(), Some(cluster.namespace()), name)).await?;
    Ok(found.as_ref().map(values))
}

fn values(secret: &Value) -> Values {
    let data = secret["data"].as_object().into_iter().flatten();
    let decoded = data.filter_map(|(key, value)| Some((key.clone(), BASE64_STANDARD.decode(value.as_str()?).ok()?)));
    Values(decoded.collect())
}
