//! Who says how many workers there are: KEDA if the cluster has it, else an HPA that only knows their CPU.

use card_kube::cluster::Cluster;
use card_manifests::{Scale, Values};
use kube::discovery;

use super::values::Asked;
use crate::context::Context;
use crate::failure::Failure;

/// Chooses, and says aloud what the choice means.
pub(super) async fn choose(
    asked: &Asked,
    values: &mut Values,
    cluster: &Cluster,
    context: &Context,
) -> Result<(), Failure> {
    let Some(bounds) = asked.autoscale else { return Ok(()) };
    if is_there(cluster).await {
        values.workers = Some(Scale::Backlog(bounds));
        return Ok(());
    }
    context.printer.say(
        "the cluster has no KEDA: workers are scaled by their CPU, which does not follow a backlog (docs/scaling.md); \
         kubectl apply --server-side -f https://github.com/kedacore/keda/releases/download/v2.17.2/keda-2.17.2.yaml brings it, \
         and the next up takes it",
    );
    values.workers = Some(Scale::Cpu(bounds));
    Ok(())
}

async fn is_there(cluster: &Cluster) -> bool {
    discovery::group(cluster.client(), "keda.sh").await.is_ok()
}
