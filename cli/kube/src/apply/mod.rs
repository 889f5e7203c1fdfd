//! Brings objects into a cluster by server-side apply.
//!
//! What is promised: nothing is forced unless asked; the inventory knows of a kind before the first object of it is
//! written, so that whatever is killed where, the next apply or down finds everything; a second apply of the same says
//! `unchanged` for each.

mod error;
#[cfg(test)]
mod fuzz;
mod refusal;
mod replicas;
mod run;
#[cfg(test)]
pub(crate) mod tests;
mod wanted;

use futures::{StreamExt, stream};
use serde_json::Value;

pub use self::error::ApplyError;
pub(crate) use self::error::missing_kind;
pub use self::refusal::{Conflict, Refusal, Refused};
use self::replicas::Autoscaled;
pub use self::replicas::Kept;
use self::run::Run;
pub(crate) use self::wanted::Wanted;
use crate::cluster::{Cluster, ClusterError, Kinds};
use crate::inventory::{Inventory, Release};
use crate::{ObjectRef, namespace, stage};

/// At once, within a stage: enough to hide the time on the wire, few enough for the smallest API server.
const CONCURRENCY: usize = 8;

/// How to apply.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
    /// Takes every field that is in conflict.
    pub force: bool,
    /// Takes these fields alone, named as a [`Conflict`] names them.
    pub take: Vec<String>,
    /// Asks the API what would happen; writes nothing.
    pub dry_run: bool,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was changed.
    Configured,
    /// It was as it should be.
    Unchanged,
}

/// An object and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub object: ObjectRef,
    pub outcome: Outcome,
}

/// What an apply did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// In the order in which they were done.
    pub changes: Vec<Change>,
    /// Replicas that were left to an autoscaler.
    pub kept: Vec<Kept>,
}

impl Applied {
    /// How many ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.changes.iter().filter(|change| change.outcome == outcome).count()
    }
}

/// Applies the objects; `event` hears of each as it is done.
///
/// Dropping the future stops between two requests; see the module for what that leaves.
///
/// # Errors
/// See [`ApplyError`]. Objects of a stage that were refused are reported together; later stages are then not begun.
pub async fn apply(
    cluster: &Cluster,
    objects: &[Value],
    release: &Release,
    options: &ApplyOptions,
    event: &(dyn Fn(&Change) + Send + Sync),
) -> Result<Applied, ApplyError> {
    let kinds = cluster.kinds().await?;
    let wanted = Wanted::all(objects, &kinds, cluster.namespace())?;
    let home = if options.dry_run {
        namespace::find(cluster).await?.is_some()
    } else {
        namespace::ensure(cluster, release).await?;
        true
    };
    let mut inventory = Inventory::open(cluster).await?;
    inventory.of_instance(release)?;
    let members = inventory.members(&kinds).await?;
    if !options.dry_run {
        let coming = wanted.iter().filter(|wanted| wanted.object.kind != "Namespace");
        let coming = coming.map(|wanted| (wanted.group_kind(), &wanted.object.namespace));
        inventory.widen(release, coming, &members).await?;
    }
    let autoscaled = Autoscaled::find(cluster, &kinds, &wanted, &members).await?;
    let id = inventory.id().to_owned();
    let mut run = Run { cluster, kinds, options, members, autoscaled, id, home };
    let mut applied = Applied::default();
    for stage in 0..=stage::LAST {
        let of_stage: Vec<&Wanted> = wanted.iter().filter(|wanted| wanted.stage == stage).collect();
        run.serve(&of_stage).await?;
        let mut results = stream::iter(of_stage).map(|wanted| run.one(wanted)).buffer_unordered(CONCURRENCY);
        let mut refused = Vec::new();
        while let Some(result) = results.next().await {
            match result {
                Ok((change, kept)) => {
                    event(&change);
                    applied.changes.push(change);
                    applied.kept.extend(kept);
                }
                // Another cluster, or none: nothing more is tried.
                Err(Refused { why: Refusal::Cluster(error), .. })
                    if !matches!(error, ClusterError::Refused { .. } | ClusterError::Forbidden { .. }) =>
                {
                    return Err(ApplyError::Cluster(error));
                }
                Err(refusal) => refused.push(refusal),
            }
        }
        drop(results);
        if !refused.is_empty() {
            refused.sort_by(|a, b| a.object.cmp(&b.object));
            return Err(ApplyError::Refused { refused, applied });
        }
    }
    Ok(applied)
}

/// As they would be applied: members of the set, and without replicas that an autoscaler owns.
pub(crate) async fn without_scaled_replicas(
    cluster: &Cluster,
    kinds: &Kinds,
    wanted: &[Wanted],
    inventory: &Inventory<'_>,
) -> Result<Vec<Value>, ApplyError> {
    let members = inventory.members(kinds).await?;
    let autoscaled = Autoscaled::find(cluster, kinds, wanted, &members).await?;
    let mut manifests = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let mut manifest = wanted.joined(inventory.id());
        if autoscaled.by(&wanted.object).is_some() {
            replicas::keep_live(cluster, kinds, wanted, &mut manifest).await?;
        }
        manifests.push(manifest);
    }
    Ok(manifests)
}
