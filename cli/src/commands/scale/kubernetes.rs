//! `cardctl scale` of a platform in a cluster.

use std::time::Duration;

use card_core::time::format_duration;
use card_kube::ObjectRef;
use card_kube::cluster::{Cluster, reason};
use card_kube::wait::{Awaited, Verdict, WaitOptions, wait};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::Change;
use super::assignment::Wanted;
use crate::client::command;
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::{Kind, SCALE_MANAGER, Table, connect, trouble};
use card_core::exit::Exit;

pub(super) async fn run(wanted: Wanted, limit: Duration, kind: Kind, context: &Context) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let cluster = connect(kind, context).await?;
    let wishes = [("worker", wanted.workers), ("server", wanted.servers)];
    for (name, _) in wishes.iter().filter(|(_, replicas)| replicas.is_some()) {
        free(name, &cluster, context).await?;
    }
    let mut changes = Vec::new();
    for (name, replicas) in wishes {
        let from = replicas_of(name, &cluster, context).await?;
        let to = replicas.unwrap_or(from);
        if to != from {
            set(name, to, &cluster).await?;
        }
        changes.push(Change { from, to });
    }
    let [workers, servers] = changes[..] else {
        return Err(Failure::internal("workers and servers can't be scaled together"));
    };
    await_all(&wishes, limit, &cluster, context).await?;
    super::show(kind.name(), workers, servers, begun.elapsed(), context)?;
    Ok(Exit::Done)
}

fn deployments(cluster: &Cluster) -> Api<Deployment> {
    Api::namespaced(cluster.client().clone(), cluster.namespace())
}

fn silent(error: &kube::Error) -> Failure {
    Failure::new("cluster", Exit::Unknown, reason(error)).fix("kubectl cluster-info")
}

async fn replicas_of(name: &str, cluster: &Cluster, context: &Context) -> Result<usize, Failure> {
    let found = deployments(cluster).get_opt(name).await.map_err(|error| silent(&error))?;
    let found = found.ok_or_else(|| {
        Failure::new(
            "not-running",
            Exit::Unknown,
            format!("there is no deployment/{name} in namespace {}", cluster.namespace()),
        )
        .fix(command(context, "up -d"))
    })?;
    let replicas = found.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    Ok(usize::try_from(replicas).unwrap_or_default())
}

/// Refuses what an autoscaler would undo in a moment. KEDA's is an HPA as well.
async fn free(name: &str, cluster: &Cluster, context: &Context) -> Result<(), Failure> {
    let scalers: Api<HorizontalPodAutoscaler> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    let scalers = scalers.list(&ListParams::default()).await.map_err(|error| silent(&error))?;
    let theirs = scalers.items.into_iter().find(|scaler| {
        let target = scaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
        target.is_some_and(|target| target.kind == "Deployment" && target.name == name)
    });
    let Some(theirs) = theirs else { return Ok(()) };
    let scaler = theirs.metadata.name.unwrap_or_default();
    Err(Failure::new("autoscaled", Exit::NotReady, format!("the number of {name}s is managed by the autoscaler"))
        .evidence(format!("horizontalpodautoscaler/{scaler} targets deployment/{name}"))
        .fix(command(context, "up -d --autoscale MIN..MAX sets its bounds; --workers N removes it"))
        .left("nothing was changed"))
}

async fn set(name: &str, replicas: usize, cluster: &Cluster) -> Result<(), Failure> {
    cluster.recheck().await.map_err(|error| trouble::cluster(&error))?;
    let parameters = PatchParams { field_manager: Some(SCALE_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments(cluster).patch_scale(name, &parameters, &patch).await.map(drop).map_err(|error| silent(&error))
}

async fn await_all(
    wishes: &[(&str, Option<usize>)],
    limit: Duration,
    cluster: &Cluster,
    context: &Context,
) -> Result<(), Failure> {
    let object = |name: &str| ObjectRef {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some(cluster.namespace().to_owned()),
        name: name.to_owned(),
    };
    let awaited: Vec<_> =
        wishes.iter().filter(|(_, replicas)| replicas.is_some()).map(|(name, _)| Awaited::new(object(name))).collect();
    let mut table = Table::new(context);
    let options = WaitOptions { cancel: context.stop.clone(), ..WaitOptions::new(limit) };
    let ending = wait(cluster.client(), &awaited, options, |snapshot| table.draw(snapshot)).await;
    drop(table);
    let left = "the cluster continues with it";
    match ending.verdict {
        Verdict::Ready => Ok(()),
        Verdict::Cancelled => Err(context.interruption().left(left)),
        Verdict::Failed { findings } => {
            Err(trouble::findings("it will not succeed".to_owned(), Exit::DeployFailed, &findings).left(left))
        }
        Verdict::TimedOut { findings, .. } => {
            let message = format!("timed out after {}", format_duration(limit));
            Err(trouble::findings(message, Exit::Timeout, &findings).left(left))
        }
        Verdict::Unreachable { message } => Err(Failure::new("cluster-unreachable", Exit::Unknown, message).left(left)),
    }
}
