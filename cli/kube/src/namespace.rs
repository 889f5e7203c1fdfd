//! The namespace of the platform: found, or made and marked as made by us in the same request.

use serde_json::{Value, json};

use crate::cluster::{Call, Cluster, ClusterError, Kind};
use crate::inventory::Release;

/// On a namespace that we made; what is not so marked is not deleted.
pub(crate) const MADE_BY: &str = "cardctl/made-by";

/// Where a namespace came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It did not exist before.
    Made,
    /// It was there.
    Found,
}

/// Makes the namespace if it is not there, and says whose it is.
///
/// # Errors
/// The cluster does not let us.
pub async fn ensure(cluster: &Cluster, release: &Release) -> Result<Origin, ClusterError> {
    if let Some(found) = find(cluster).await? {
        return Ok(origin(&found));
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace(),
        "annotations": {MADE_BY: release.instance}, "labels": {"app.kubernetes.io/part-of": "cardctl",
            "app.kubernetes.io/instance": release.instance, "app.kubernetes.io/managed-by": "cardctl"}}});
    match cluster.write(Call::create(&Kind::namespaces(), None, &namespace)).await {
        Ok(_) => Ok(Origin::Made),
        // Somebody was faster, perhaps we ourselves, whose answer was lost.
        Err(error) if error.is_conflict() => Ok(find(cluster).await?.as_ref().map_or(Origin::Found, origin)),
        Err(error) => Err(error),
    }
}

/// The namespace as it is; None if it is not there, or if we may not see it and it may as well be.
pub(crate) async fn find(cluster: &Cluster) -> Result<Option<Value>, ClusterError> {
    match cluster.find(Call::get(&Kind::namespaces(), None, cluster.namespace())).await {
        // Who may only use a namespace of their own may not look at it; then it is there.
        Err(ClusterError::Forbidden { .. }) => Ok(Some(json!({"metadata": {"name": cluster.namespace()}}))),
        found => found,
    }
}

pub(crate) fn origin(namespace: &Value) -> Origin {
    if namespace["metadata"]["annotations"][MADE_BY].is_null() { Origin::Found } else { Origin::Made }
}
