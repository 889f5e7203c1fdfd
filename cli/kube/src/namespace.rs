//! The namespace of the platform: found, or made and marked as made by us in the same request.

use serde_json::{Value, json};

use crate::cluster::{Call, Cluster, ClusterError, Kind};
use crate::inventory::Release;
use crate::owner::Owner;

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
    let owner = cluster.owner();
    if let Some(found) = find(cluster).await? {
        return Ok(origin(&found, owner));
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace(),
        "annotations": {(owner.made_by()): release.instance}, "labels": owner.labels(&release.instance)}});
    match cluster.write(Call::create(&Kind::namespaces(), None, &namespace, owner)).await {
        Ok(_) => Ok(Origin::Made),
        // Somebody was faster, perhaps we ourselves, whose answer was lost.
        Err(error) if error.is_conflict() => {
            Ok(find(cluster).await?.map_or(Origin::Found, |found| origin(&found, owner)))
        }
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

pub(crate) fn origin(namespace: &Value, owner: &Owner) -> Origin {
    if namespace["metadata"]["annotations"][owner.made_by()].is_null() { Origin::Found } else { Origin::Made }
}
