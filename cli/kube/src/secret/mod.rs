//! Secrets that are made once and then kept: never overwritten, never shown, never logged.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::cluster::{Call, Cluster, ClusterError, Kind};
use crate::inventory::{Inventory, InventoryError, PART_OF, Release, labels};
use crate::namespace;

/// What a secret is that nobody but its users knows.
const OPAQUE: &str = "Opaque";

/// For how long one is kept.
const UNTIL: &str = "until purge";

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
pub enum SecretError {
    #[error("the secret {name} is not ours, and lacks {}", missing.join(", "))]
    NotOurs { name: String, missing: Vec<String>, adoption: String },
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
            Self::NotOurs { missing, adoption, .. } => {
                Some(format!("add the keys yourself ({}), or let cardctl do that: {adoption}", missing.join(", ")))
            }
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
        let named = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<String>>();
        let is_ours = |found: &Value| found["metadata"]["labels"][PART_OF] == inventory.id();
        match &found {
            Some(found) if missing.is_empty() && (!is_ours(found) || is_kept(cluster, found)) => {
                return Ok(Ensured::Kept);
            }
            Some(found) if !is_ours(found) => {
                return Err(not_ours(cluster, name, named(&missing)));
            }
            _ => {}
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
        let done = match &found {
            None => Ensured::Created,
            Some(_) if missing.is_empty() => Ensured::Kept,
            Some(_) => Ensured::Added(named(&missing)),
        };
        let keep = cluster.owner().keep();
        let mut metadata = json!({"labels": labels(cluster, release), "annotations": {(keep): UNTIL}});
        // First: what a `down` does not know of, it would leave.
        inventory.widen_by(release, "Secret").await?;
        let call = match &found {
            Some(found) => {
                // The version: nobody may have added the same key meanwhile. And with all that marks one of ours, whoever
                // made it: without that, the next prune would take it for something that is no longer wanted.
                metadata["resourceVersion"] = found["metadata"]["resourceVersion"].clone();
                let patch = json!({"metadata": metadata, "data": data});
                Call::merge(&Kind::secrets(), Some(cluster.namespace()), name, &patch, cluster.owner())
            }
            None => {
                metadata["name"] = json!(name);
                let secret =
                    json!({"apiVersion": "v1", "kind": "Secret", "type": of_type, "data": data, "metadata": metadata});
                Call::create(&Kind::secrets(), Some(cluster.namespace()), &secret, cluster.owner())
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

/// Whether a prune and a `down` leave it.
fn is_kept(cluster: &Cluster, secret: &Value) -> bool {
    !secret["metadata"]["annotations"][cluster.owner().keep()].is_null()
}

fn not_ours(cluster: &Cluster, name: &str, missing: Vec<String>) -> SecretError {
    SecretError::NotOurs { name: name.to_owned(), missing, adoption: adoption(cluster, name) }
}

/// The command that makes a secret that somebody else made one of ours, whose missing keys are added.
#[must_use]
pub fn adoption(cluster: &Cluster, name: &str) -> String {
    let namespace = cluster.namespace();
    format!("kubectl -n {namespace} label secret {name} {PART_OF}={}", cluster.owner().inventory(namespace))
}

/// Puts other values in the place of those that a secret of ours has under these keys; the others are not touched.
///
/// # Errors
/// It is not there, it is not ours, or the cluster does not let us.
pub async fn replace(cluster: &Cluster, name: &str, values: &Values) -> Result<(), SecretError> {
    let inventory = Inventory::open(cluster).await?;
    let found = cluster.read(Call::get(&Kind::secrets(), Some(cluster.namespace()), name)).await?.body;
    if found["metadata"]["labels"][PART_OF] != inventory.id() {
        return Err(not_ours(cluster, name, values.0.keys().cloned().collect()));
    }
    let data: Map<String, Value> =
        values.0.iter().map(|(key, value)| (key.clone(), json!(BASE64_STANDARD.encode(value)))).collect();
    let patch = json!({"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "data": data});
    cluster.write(Call::merge(&Kind::secrets(), Some(cluster.namespace()), name, &patch, cluster.owner())).await?;
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
        return Err(not_ours(cluster, name, Vec::new()));
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
