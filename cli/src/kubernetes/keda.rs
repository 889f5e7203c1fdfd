//! Whether KEDA is there: it is when its operator runs, not when the cluster knows its kinds.

use card_kube::cluster::Cluster;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use kube::discovery;

/// What acts on KEDA's kinds.
const OPERATOR: &str = "keda-operator";

/// What of KEDA there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keda {
    /// The cluster does not know it.
    Absent,
    /// Its kinds are known, and nobody acts on them.
    Stopped,
    /// Its operator is available.
    Running,
}

/// Asks the cluster.
pub async fn find(cluster: &Cluster) -> Keda {
    if discovery::group(cluster.client(), "keda.sh").await.is_err() {
        return Keda::Absent;
    }
    let operators = Api::<Deployment>::all(cluster.client().clone());
    match operators.list(&ListParams::default().fields(&format!("metadata.name={OPERATOR}"))).await {
        Ok(found) => {
            let runs = |one: &Deployment| one.status.as_ref().and_then(|status| status.available_replicas) > Some(0);
            if found.items.iter().any(runs) { Keda::Running } else { Keda::Stopped }
        }
        // Who may not look has to believe it; that the workers are scaled is waited for in any case.
        Err(_) => Keda::Running,
    }
}
