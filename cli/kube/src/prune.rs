//! What is in the inventory and no longer wanted.

use serde_json::Value;

use crate::ObjectRef;
use crate::apply::{ApplyError, Wanted};
use crate::cluster::Cluster;
use crate::inventory::{Inventory, Member, Release};
use crate::remove::{self, OnRemoval};

/// What a prune would delete, in that order. Volumes and what is marked to be kept is never among it.
///
/// # Errors
/// As for an apply.
pub async fn preview(cluster: &Cluster, objects: &[Value]) -> Result<Vec<Member>, ApplyError> {
    let kinds = cluster.kinds().await?;
    let wanted = Wanted::all(objects, &kinds, cluster.namespace())?;
    let inventory = Inventory::open(cluster).await?;
    let mut stale = inventory.members(&kinds).await?;
    stale.retain(|member| !member.is_kept() && !wanted.iter().any(|wanted| member.is(&wanted.object)));
    stale.reverse();
    Ok(stale)
}

/// Deletes what a [`preview`] showed, each only if it is still that very object, in the background; then the inventory
/// names what is left.
///
/// # Errors
/// As for an apply; what was not reached stays in the inventory.
pub async fn prune(
    cluster: &Cluster,
    stale: &[Member],
    release: &Release,
    event: OnRemoval<'_>,
) -> Result<Vec<ObjectRef>, ApplyError> {
    let mut inventory = Inventory::open(cluster).await?;
    inventory.of_instance(release)?;
    let all: Vec<&Member> = stale.iter().filter(|member| !member.is_kept()).collect();
    remove::delete(cluster, &all, "Background", event).await?;
    if inventory.parent().is_some() {
        let kinds = cluster.kinds().await?;
        // What still ends is listed, and so stays named.
        let left = inventory.members(&kinds).await?;
        inventory.narrow(release, &left).await?;
    }
    Ok(all.into_iter().map(|member| member.object.clone()).collect())
}
