//! What an apply would change: the live objects against those that the API says would be there after it.
//!
//! The API itself answers, by a dry run, so that defaults and what others own are no differences. What a secret holds is
//! never shown, only that it differs.

#[cfg(test)]
mod tests;

use futures::{StreamExt, stream};
use serde_json::Value;

use crate::apply::{ApplyError, Conflict, Refusal, Refused, Wanted, without_scaled_replicas};
use crate::cluster::{Call, Cluster, Kinds};
pub use crate::compare::FieldChange;
use crate::compare::compare;
use crate::inventory::Inventory;
use crate::{ObjectRef, namespace, prune};

const CONCURRENCY: usize = 8;

/// How an object differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub object: ObjectRef,
    pub kind: DifferenceKind,
    /// Fields of it that others own with another value: an apply would refuse.
    pub conflicts: Vec<Conflict>,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq)]
pub enum DifferenceKind {
    /// It is not there.
    Added,
    /// It is there, ours, and not wanted: a prune would delete it.
    Removed,
    /// Fields differ.
    Changed(Vec<FieldChange>),
}

/// Every difference, in the order in which an apply would remove it; empty: an apply would change nothing.
///
/// # Errors
/// As for an apply. Nothing is written.
pub async fn diff(cluster: &Cluster, objects: &[Value]) -> Result<Vec<Difference>, ApplyError> {
    let kinds = cluster.kinds().await?;
    let wanted = Wanted::all(objects, &kinds, cluster.namespace())?;
    let inventory = Inventory::open(cluster).await?;
    let manifests = without_scaled_replicas(cluster, &kinds, &wanted, &inventory).await?;
    let home = namespace::find(cluster).await?.is_some();
    let pairs = wanted.iter().zip(&manifests);
    let mut results = stream::iter(pairs)
        .map(|(wanted, manifest)| one(cluster, &kinds, wanted, manifest, home))
        .buffered(CONCURRENCY);
    let (mut differences, mut refused) = (Vec::new(), Vec::new());
    while let Some(result) = results.next().await {
        match result {
            Ok(difference) => differences.extend(difference),
            Err(refusal) => refused.push(refusal),
        }
    }
    drop(results);
    if !refused.is_empty() {
        return Err(ApplyError::Refused { refused, applied: crate::apply::Applied::default() });
    }
    let stale = prune::preview(cluster, objects).await?.into_iter();
    let removed = |object| Difference { object, kind: DifferenceKind::Removed, conflicts: Vec::new() };
    differences.extend(stale.map(|member| removed(member.object)));
    Ok(differences)
}

async fn one(
    cluster: &Cluster,
    kinds: &Kinds,
    wanted: &Wanted,
    manifest: &Value,
    home: bool,
) -> Result<Option<Difference>, Refused> {
    let object = wanted.object.clone();
    let refused = |why: Refusal| Refused { object: object.clone(), why };
    let added = Difference { object: object.clone(), kind: DifferenceKind::Added, conflicts: Vec::new() };
    // A kind that a CRD of the set brings: nothing of it can be there.
    let Some(kind) = wanted.kind(kinds) else { return Ok(Some(added)) };
    let namespace = object.namespace.as_deref();
    if !home && namespace == Some(cluster.namespace()) {
        return Ok(Some(added));
    }
    let live = cluster.find(Call::get(kind, namespace, &object.name)).await.map_err(|error| refused(error.into()))?;
    let call = Call::apply(kind, namespace, &object.name, manifest, cluster.owner().manager()).query("dryRun", "All");
    let mut conflicts = Vec::new();
    let after = match cluster.read(call.clone()).await {
        Err(error) if error.is_conflict() => {
            match Refusal::of(error, &object, manifest, live.as_ref()) {
                Refusal::Conflicts { conflicts: found } => conflicts = found,
                other => return Err(refused(other)),
            }
            cluster.read(call.query("force", "true")).await
        }
        answer => answer,
    };
    let after = after.map_err(|error| refused(Refusal::of(error, &object, manifest, live.as_ref())))?.body;
    let Some(live) = live else { return Ok(Some(added)) };
    let changes = compare(&live, &after);
    Ok((!changes.is_empty()).then_some(Difference { object, kind: DifferenceKind::Changed(changes), conflicts }))
}
