//! Pods that are all ready, and a platform that does not work: what they complain about is the likely reason.

use std::time::Duration;

use card_core::telemetry::mask::mask;
use card_kube::cluster::Cluster;
use card_kube::logs::{LogItem, LogOptions, logs};
use futures::StreamExt;
use tokio::time::timeout;

use crate::commands::logs::complaint;
use crate::context::Context;
use crate::failure::Failure;

/// To read some lines of a few pods.
const LOOK: Duration = Duration::from_secs(5);
const TAIL: u32 = 30;
/// Of them are shown.
const MOST: usize = 6;

/// The failure with the last warnings and errors of the platform's pods.
pub(super) async fn of(failure: Failure, cluster: &Cluster, context: &Context) -> Failure {
    let options = LogOptions {
        components: ["server", "worker"].map(ToOwned::to_owned).to_vec(),
        selector: format!("app.kubernetes.io/part-of=cardctl,app.kubernetes.io/instance={}", context.instance.name),
        tail: Some(TAIL),
        ..LogOptions::default()
    };
    let mut lines = logs(cluster.client().clone(), cluster.namespace(), options);
    let mut said = Vec::new();
    let reading = async {
        while let Some(item) = lines.next().await {
            if let Ok(LogItem::Line(line)) = item {
                said.extend(complaint(&mask(&line.text), &line.pod));
            }
        }
    };
    // What was read by then is better than nothing.
    let _ = timeout(LOOK, reading).await;
    said.dedup();
    let from = said.len().saturating_sub(MOST);
    said[from..].iter().fold(failure, Failure::evidence)
}
