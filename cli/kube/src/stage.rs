//! In which order kinds come into being, and go.

/// Objects of a lower stage are there before those of a higher one are applied, and go after them.
pub(crate) fn stage(kind: &str) -> u8 {
    match kind {
        "Namespace" | "CustomResourceDefinition" => 0,
        "ServiceAccount"
        | "Role"
        | "RoleBinding"
        | "ClusterRole"
        | "ClusterRoleBinding"
        | "ConfigMap"
        | "Secret"
        | "PersistentVolume"
        | "PersistentVolumeClaim"
        | "StorageClass"
        | "PriorityClass"
        | "ResourceQuota"
        | "LimitRange"
        | "Service"
        | "NetworkPolicy" => 1,
        // What keeps data: others depend on it, also while they drain.
        "StatefulSet" | "DaemonSet" => 2,
        "Deployment" | "ReplicaSet" | "ReplicationController" | "Pod" | "Job" | "CronJob" => 3,
        // Autoscalers, budgets, ingresses, custom resources.
        _ => 4,
    }
}

/// The highest stage.
pub(crate) const LAST: u8 = 4;

/// Kinds whose pods should be gone before what they depend on goes.
pub(crate) fn has_pods(kind: &str) -> bool {
    matches!(stage(kind), 2 | 3)
}
