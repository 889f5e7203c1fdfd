//! Objects that are not part of Kubernetes itself, as far as the manifests use them.
//! Source: <https://keda.sh/docs/latest/reference/scaledobject-spec/>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// KEDA's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ScaledObject {
    api_version: String,
    kind: String,
    metadata: Value,
    spec: Spec,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    polling_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_period: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_replica_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_replica_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advanced: Option<Value>,
    triggers: Vec<Trigger>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    name: String,
}

/// Whatever a scaler asks for, its values are text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Trigger {
    #[serde(rename = "type")]
    scaler: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_type: Option<MetricType>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum MetricType {
    AverageValue,
    Value,
    Utilization,
}
