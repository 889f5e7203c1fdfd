//! A number of pods that was set with `cardctl scale` stays when `up` says nothing else, as it does on this machine.

use card_kube::cluster::Cluster;
use card_manifests::{Scale, Values};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;

use crate::kubernetes::SCALE_MANAGER;

/// Takes over what was set.
pub(super) async fn keep(values: &mut Values, cluster: &Cluster) {
    if values.workers.is_none() {
        values.workers = set(cluster, "worker").await;
    }
    if values.servers.is_none() {
        values.servers = set(cluster, "server").await;
    }
}

/// How many there are, if that was set. What can't be read was not.
async fn set(cluster: &Cluster, name: &str) -> Option<Scale> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    let found = deployments.get_opt(name).await.ok()??;
    let managers = found.metadata.managed_fields.unwrap_or_default();
    managers.iter().any(|entry| entry.manager.as_deref() == Some(SCALE_MANAGER)).then_some(())?;
    let replicas = found.spec?.replicas?;
    Some(Scale::Fixed(u32::try_from(replicas).ok()?))
}
