//! Replicas belong to the autoscaler where there is one.
//!
//! They are not sent then. But a field that only we applied goes when we apply it no more, and the API then puts its
//! default there: one replica, under load. So another manager gets it first, with the value that it has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::wanted::Wanted;
use crate::cluster::{Call, Cluster, ClusterError, Kinds};
use crate::inventory::Member;
use crate::{ObjectRef, fields};

const AUTOSCALERS: [&str; 2] = ["HorizontalPodAutoscaler.autoscaling", "ScaledObject.keda.sh"];

/// Which workloads are scaled by whom.
#[derive(Debug, Default)]
pub(super) struct Autoscaled {
    /// By namespace, kind and name of the workload.
    targets: BTreeMap<(String, String, String), ObjectRef>,
    /// Workloads whose autoscaler was ours and is not wanted any more.
    retired: BTreeSet<(String, String, String)>,
}

/// Replicas that were left as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The workload.
    pub object: ObjectRef,
    /// What scales it.
    pub autoscaler: ObjectRef,
    /// How many it has; None if it was not there before.
    pub replicas: Option<u64>,
}

/// Whether it has replicas that something may scale.
pub(super) fn is_scalable(object: &ObjectRef) -> bool {
    object.group == "apps" && matches!(object.kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet")
}

fn place(object: &ObjectRef) -> (String, String, String) {
    (object.namespace.clone().unwrap_or_default(), object.kind.clone(), object.name.clone())
}

/// The workload that an autoscaler scales.
fn target(autoscaler: &Value, namespace: &str) -> Option<(String, String, String)> {
    let target = &autoscaler["spec"]["scaleTargetRef"];
    // KEDA's may leave the kind out.
    let kind = target["kind"].as_str().unwrap_or("Deployment");
    Some((namespace.to_owned(), kind.to_owned(), target["name"].as_str()?.to_owned()))
}

impl Autoscaled {
    /// By what is wanted, and by what is in the cluster, whoever made it.
    pub(super) async fn find(
        cluster: &Cluster,
        kinds: &Kinds,
        wanted: &[Wanted],
        members: &[Member],
    ) -> Result<Self, ClusterError> {
        let mut found = Self::default();
        for scaler in wanted.iter().filter(|wanted| AUTOSCALERS.contains(&wanted.group_kind().as_str())) {
            let namespace = scaler.object.namespace.as_deref().unwrap_or_default();
            if let Some(target) = target(&scaler.manifest, namespace) {
                found.targets.insert(target, scaler.object.clone());
            }
        }
        let workloads = wanted.iter().filter(|wanted| is_scalable(&wanted.object));
        let namespaces: BTreeSet<&str> = workloads.filter_map(|wanted| wanted.object.namespace.as_deref()).collect();
        let going: BTreeSet<&str> = members
            .iter()
            .filter(|member| !wanted.iter().any(|wanted| member.is(&wanted.object)))
            .map(|member| member.uid.as_str())
            .collect();
        for kind in AUTOSCALERS.iter().filter_map(|name| kinds.group_kind(name)) {
            for namespace in &namespaces {
                let listed = match cluster.list(Call::list(kind, Some(namespace))).await {
                    // KEDA scales by an HPA of its own, which is found as well.
                    Err(error) if error.is_forbidden() && kind.kind == "ScaledObject" => Vec::new(),
                    listed => listed?,
                };
                for mut scaler in listed {
                    let Some(target) = target(&scaler, namespace) else { continue };
                    let metadata = &scaler["metadata"];
                    let owners =
                        metadata["ownerReferences"].as_array().into_iter().flatten().map(|owner| &owner["uid"]);
                    let goes =
                        owners.chain([&metadata["uid"]]).filter_map(Value::as_str).any(|uid| going.contains(uid));
                    if goes {
                        found.retired.insert(target);
                        continue;
                    }
                    scaler["apiVersion"] = json!(format!("{}/{}", kind.group, kind.version));
                    scaler["kind"] = json!(kind.kind);
                    if let Some(object) = ObjectRef::of(&scaler) {
                        found.targets.entry(target).or_insert(object);
                    }
                }
            }
        }
        Ok(found)
    }

    /// What scales this workload.
    pub(super) fn by(&self, workload: &ObjectRef) -> Option<&ObjectRef> {
        self.targets.get(&place(workload))
    }

    /// Whether the autoscaler that owns its replicas was ours and goes: then they are ours again.
    pub(super) fn is_retired(&self, workload: &ObjectRef) -> bool {
        self.by(workload).is_none() && self.retired.contains(&place(workload))
    }
}

/// Takes the replicas out of a manifest whose workload is scaled, and sees to it that the live value stays.
pub(super) async fn leave(
    cluster: &Cluster,
    kinds: &Kinds,
    wanted: &Wanted,
    manifest: &mut Value,
    autoscaler: &ObjectRef,
    dry_run: bool,
) -> Result<Option<Kept>, ClusterError> {
    let removed = manifest["spec"].as_object_mut().and_then(|spec| spec.remove("replicas"));
    let Some(kind) = wanted.kind(kinds) else { return Ok(None) };
    let ObjectRef { namespace, name, .. } = &wanted.object;
    // Between reading and handing over the autoscaler may scale; then the value is another's, and nothing is to be done.
    for _ in 0..5 {
        let live = cluster.find(Call::get(kind, namespace.as_deref(), name)).await?;
        let replicas = live.as_ref().and_then(|live| live["spec"]["replicas"].as_u64());
        let kept = Kept { object: wanted.object.clone(), autoscaler: autoscaler.clone(), replicas };
        let (Some(live), Some(replicas)) = (live, replicas) else { return Ok(Some(kept)) };
        let (ours, others) = fields::owned(&live["metadata"], cluster.owner().manager(), &["f:spec", "f:replicas"]);
        if !ours || others {
            // Of a number that nobody wanted to set there is nothing to say.
            return Ok(removed.is_some().then_some(kept));
        }
        if dry_run {
            // The real apply hands it over first.
            manifest["spec"]["replicas"] = json!(replicas);
            return Ok(Some(kept));
        }
        let handover = json!({"apiVersion": wanted.object.api_version(), "kind": kind.kind,
            "metadata": {"name": name, "uid": live["metadata"]["uid"]}, "spec": {"replicas": replicas}});
        match cluster.write(Call::apply(kind, namespace.as_deref(), name, &handover, &cluster.owner().handover())).await
        {
            Ok(_) => return Ok(Some(kept)),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// For a dry run: with the live value, which an apply would leave as it is.
pub(super) async fn keep_live(
    cluster: &Cluster,
    kinds: &Kinds,
    wanted: &Wanted,
    manifest: &mut Value,
) -> Result<(), ClusterError> {
    let Some(spec) = manifest["spec"].as_object_mut() else { return Ok(()) };
    let (Some(_), Some(kind)) = (spec.remove("replicas"), wanted.kind(kinds)) else { return Ok(()) };
    let call = Call::get(kind, wanted.object.namespace.as_deref(), &wanted.object.name);
    if let Some(live) = cluster.find(call).await?
        && let Some(replicas) = live["spec"].get("replicas")
    {
        spec.insert("replicas".to_owned(), replicas.clone());
    }
    Ok(())
}
