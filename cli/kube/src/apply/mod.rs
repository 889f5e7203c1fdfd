//! Brings objects into a cluster by server-side apply.
//!
//! What is promised: nothing is forced unless asked; the inventory knows of a kind before the first object of it is
//! written, so that whatever is killed where, the next apply or down finds everything; a second apply of the same says
//! `unchanged` for each.

mod error;
mod refusal;
mod replicas;
pub(crate) mod stage;
#[cfg(test)]
pub(crate) mod tests;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::StatusCode;
use serde_json::{Value, json};

pub use self::error::ApplyError;
pub(crate) use self::error::missing_kind;
pub use self::refusal::{Conflict, Refusal, Refused};
use self::replicas::Autoscaled;
pub use self::replicas::Kept;
pub(crate) use self::wanted::Wanted;
use crate::cluster::{Call, Cluster, ClusterError, Kind, Kinds};
use crate::inventory::{Inventory, Member, Release};
use crate::{FIELD_MANAGER, ObjectRef, namespace};

/// At once, within a stage: enough to hide the time on the wire, few enough for the smallest API server.
const CONCURRENCY: usize = 8;
/// For a CRD of the set to be served.
const CRD_DEADLINE: Duration = Duration::from_secs(15);

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
    /// Which.
    pub object: ObjectRef,
    /// What.
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

struct Run<'a> {
    cluster: &'a Cluster,
    kinds: Arc<Kinds>,
    options: &'a ApplyOptions,
    members: Vec<Member>,
    autoscaled: Autoscaled,
    id: String,
    /// Whether there is a namespace to try a dry run in.
    home: bool,
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
        inventory.widen(release, &wanted, &members).await?;
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

impl Run<'_> {
    /// Waits until the kinds of these are served: their CRD may have come a moment ago.
    async fn serve(&mut self, stage: &[&Wanted]) -> Result<(), ApplyError> {
        let deadline = tokio::time::Instant::now() + CRD_DEADLINE;
        loop {
            let missing = stage.iter().find(|wanted| wanted.kind(&self.kinds).is_none());
            let Some(missing) = missing else { return Ok(()) };
            if self.options.dry_run || tokio::time::Instant::now() >= deadline {
                return Err(ApplyError::NoSuchKind { object: missing.object.clone() });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.kinds = self.cluster.rediscover().await?;
        }
    }

    async fn one(&self, wanted: &Wanted) -> Result<(Change, Option<Kept>), Refused> {
        let object = wanted.object.clone();
        let refused = |error: ClusterError| Refused { object: object.clone(), why: Refusal::Cluster(error) };
        let mut manifest = wanted.joined(&self.id);
        let mut kept = None;
        if !wanted.manifest["spec"]["replicas"].is_null()
            && let Some(autoscaler) = self.autoscaled.by(&object)
        {
            let dry_run = self.options.dry_run;
            kept = replicas::leave(self.cluster, &self.kinds, wanted, &mut manifest, autoscaler, dry_run)
                .await
                .map_err(refused)?;
        }
        let outcome = self.send(wanted, &manifest).await.map_err(|why| Refused { object: object.clone(), why })?;
        Ok((Change { object, outcome }, kept))
    }

    async fn send(&self, wanted: &Wanted, manifest: &Value) -> Result<Outcome, Refusal> {
        let object = &wanted.object;
        let Some(kind) = wanted.kind(&self.kinds) else {
            return Err(Refusal::NoSuchKind { api_version: object.api_version(), kind: object.kind.clone() });
        };
        let namespace = object.namespace.as_deref();
        if self.options.dry_run && !self.home && namespace == Some(self.cluster.namespace()) {
            // The API would refuse to try: there is no namespace to try it in.
            return Ok(Outcome::Created);
        }
        let call = Call::apply(kind, namespace, &object.name, manifest, FIELD_MANAGER);
        let call = if self.options.dry_run { call.query("dryRun", "All") } else { call };
        let forced = call.clone().query("force", "true");
        let before = self.before(kind, object).await?;
        let first = if self.options.force { forced.clone() } else { call };
        let answer = match self.persist(first).await {
            Ok(answer) => answer,
            Err(error) if error.is_conflict() => {
                let live = self.cluster.find(Call::get(kind, namespace, &object.name)).await?;
                let refusal = Refusal::of(error, object, manifest, live.as_ref());
                if !self.may_take(object, &refusal) {
                    return Err(refusal);
                }
                self.persist(forced).await.map_err(|error| Refusal::of(error, object, manifest, None))?
            }
            Err(error) => return Err(Refusal::of(error, object, manifest, None)),
        };
        Ok(if answer.code == StatusCode::CREATED {
            Outcome::Created
        } else if before.is_some_and(|before| self.is_same(&before, &answer.body)) {
            Outcome::Unchanged
        } else {
            Outcome::Configured
        })
    }

    /// What there is before, as far as it takes to say whether it was changed: a member's metadata; all of it for a dry
    /// run, which leaves no other trace.
    async fn before(&self, kind: &Kind, object: &ObjectRef) -> Result<Option<Value>, ClusterError> {
        if self.options.dry_run {
            return self.cluster.find(Call::get(kind, object.namespace.as_deref(), &object.name)).await;
        }
        if let Some(member) = self.members.iter().find(|member| member.is(object)) {
            return Ok(Some(json!({"metadata": member.metadata})));
        }
        if object.kind == "Namespace" {
            return self.cluster.find(Call::get(kind, None, &object.name).only_metadata()).await;
        }
        // Not a member, or not there: in either case it is changed, by the label.
        Ok(None)
    }

    fn is_same(&self, before: &Value, after: &Value) -> bool {
        if self.options.dry_run {
            return crate::diff::is_same(before, after);
        }
        is_same(&before["metadata"], &after["metadata"])
    }

    fn may_take(&self, object: &ObjectRef, refusal: &Refusal) -> bool {
        let Refusal::Conflicts { conflicts } = refusal else { return false };
        conflicts.iter().all(|conflict| {
            let retired = conflict.field == ".spec.replicas" && self.autoscaled.is_retired(object);
            retired || self.options.take.contains(&conflict.field)
        })
    }

    /// An apply may be sent twice: the second changes nothing. So a connection that broke is no reason to give up.
    async fn persist(&self, call: Call) -> Result<crate::cluster::Answer, ClusterError> {
        for wait in [50, 250] {
            let result = if self.options.dry_run {
                self.cluster.read(call.clone()).await
            } else {
                self.cluster.write(call.clone()).await
            };
            match result {
                Err(ClusterError::Unreachable { .. }) => tokio::time::sleep(Duration::from_millis(wait)).await,
                result => return result,
            }
        }
        if self.options.dry_run { self.cluster.read(call).await } else { self.cluster.write(call).await }
    }
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

/// Whether our apply changed nothing. The version alone does not say it: controllers write status meanwhile. But the
/// time at our entry moves only when an apply of ours changes something.
fn is_same(before: &Value, after: &Value) -> bool {
    let ours = |metadata: &Value| {
        let entries = metadata["managedFields"].as_array().into_iter().flatten();
        let mut ours = entries.filter(|entry| entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply");
        ours.next().map(|entry| (entry["time"].clone(), entry["fieldsV1"].clone()))
    };
    before["resourceVersion"] == after["resourceVersion"] || (ours(before).is_some() && ours(before) == ours(after))
}
