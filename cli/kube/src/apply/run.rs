//! One object after the other: sent, compared, and taken or not where it is in conflict.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::replicas::{self, Autoscaled, Kept};
use super::{ApplyError, ApplyOptions, Change, Outcome, Refusal, Refused, Wanted};
use crate::ObjectRef;
use crate::cluster::{Answer, Call, Cluster, ClusterError, Kind, Kinds};
use crate::inventory::Member;
use crate::owner::Owner;

/// For a CRD of the set to be served.
const CRD_DEADLINE: Duration = Duration::from_secs(15);

pub(super) struct Run<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) kinds: Arc<Kinds>,
    pub(super) options: &'a ApplyOptions,
    pub(super) members: Vec<Member>,
    pub(super) autoscaled: Autoscaled,
    pub(super) id: String,
    /// Whether there is a namespace to try a dry run in.
    pub(super) home: bool,
}

impl Run<'_> {
    /// Waits until the kinds of these are served: their CRD may have come a moment ago.
    pub(super) async fn serve(&mut self, stage: &[&Wanted]) -> Result<(), ApplyError> {
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

    pub(super) async fn one(&self, wanted: &Wanted) -> Result<(Change, Option<Kept>), Refused> {
        let object = wanted.object.clone();
        let refused = |error: ClusterError| Refused { object: object.clone(), why: Refusal::Cluster(error) };
        let mut manifest = wanted.joined(&self.id);
        let mut kept = None;
        // Also where the manifest names no number: the one of an earlier apply would go with it.
        if replicas::is_scalable(&object)
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
        let call = Call::apply(kind, namespace, &object.name, manifest, self.cluster.owner().manager());
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
        // Not a member, or not installed: in either case it is changed, by the label.
        Ok(None)
    }

    fn is_same(&self, before: &Value, after: &Value) -> bool {
        if self.options.dry_run {
            return crate::compare::is_same(before, after);
        }
        is_same(&before["metadata"], &after["metadata"], self.cluster.owner())
    }

    fn may_take(&self, object: &ObjectRef, refusal: &Refusal) -> bool {
        let Refusal::Conflicts { conflicts } = refusal else { return false };
        conflicts.iter().all(|conflict| {
            let retired = conflict.field == ".spec.replicas" && self.autoscaled.is_retired(object);
            // What we set ourselves in another way, such as the labels of a namespace that we made, is nobody else's.
            retired || conflict.manager == self.cluster.owner().manager() || self.options.take.contains(&conflict.field)
        })
    }

    /// An apply may be sent twice: the second changes nothing. So a connection that broke is no reason to give up.
    async fn persist(&self, call: Call) -> Result<Answer, ClusterError> {
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

/// Whether our apply changed nothing, by the metadata before and after.
///
/// The version alone does not say it: controllers write status meanwhile. The time at our entry moves when an apply of ours
/// changes something, and only then; but it has no fractions of a second. So within the second of our last change it is
/// looked at whether somebody else's entry explains the new version.
pub(super) fn is_same(before: &Value, after: &Value, owner: &Owner) -> bool {
    if before["resourceVersion"] == after["resourceVersion"] {
        return true;
    }
    let ((ours_before, others_before), (ours, others)) = (entries(before, owner), entries(after, owner));
    if ours.is_empty() || ours != ours_before {
        return false;
    }
    let latest =
        |entries: &[&Value]| entries.iter().filter_map(|entry| entry["time"].as_str()).max().map(ToOwned::to_owned);
    latest(&ours) < latest(&others) || others != others_before
}

/// Ours and the others'.
fn entries<'a>(metadata: &'a Value, owner: &Owner) -> (Vec<&'a Value>, Vec<&'a Value>) {
    let entries = metadata["managedFields"].as_array().into_iter().flatten();
    entries.partition(|entry| entry["manager"] == *owner.manager() && entry["operation"] == "Apply")
}
