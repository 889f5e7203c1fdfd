//! Generators in the cluster, beside the platform: a Job with a pod for each, heard through their logs.
//!
//! The log is the way back because it is there for a container that has ended, needs no right but the one to read logs,
//! nothing in the image, and nobody who waits for anybody; `exec` and copying have none of that. What can go wrong with it
//! is provided for in `card_loadtests::shard::wire`: lines are short, the last ones have numbers and a digest, and the
//! whole stays below the size at which logs are rotated. They are read as they come, and, should the stream have lost
//! some, once more from the container that has ended.

mod follow;
mod manifest;
mod pods;
#[cfg(test)]
mod tests;

use card_kube::cluster::reason;
use card_loadtests::shard::Assignment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::follow::Following;
use self::manifest::Order;
use super::generators::Crew;
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::kubernetes::{Deployment, Kind, trouble};
use card_core::exit::Exit;

/// Lines that wait to be read.
const WAITING: usize = 4096;

/// Where the platform is, if a Job can run beside it.
///
/// # Errors
/// It is in no cluster.
pub(super) fn kind(context: &Context) -> Result<Kind, Failure> {
    match context.target()? {
        Target::Kubernetes(kind) => Ok(kind),
        _ => Err(Failure::new(
            "no-cluster",
            Exit::NotReady,
            "a job runs inside a Kubernetes cluster, and this target is none",
        )
        .fix("use --runner local (the default): the load comes from this process")
        .left("nothing was sent")),
    }
}

/// The image of `card-generator`: what was asked for, or what the platform was deployed with.
///
/// # Errors
/// It is not known.
pub(super) fn image(asked: Option<String>, kind: Kind, context: &Context) -> Result<String, Failure> {
    let deployed = || Deployment::load(&context.instance)?.generator;
    asked.or_else(deployed).ok_or_else(|| {
        Failure::new("no-image", Exit::NotReady, "which image the generators run is not known")
            .evidence("the platform was not deployed with one by this machine's cardctl")
            .fix(format!("{} up -d -t {}, which brings it, or --image REFERENCE", context.program(), kind.name()))
            .left("nothing was sent")
    })
}

/// Creates the Job. It is removed when its pods have ended, or when the [`Crew`] is told to stop.
///
/// # Errors
/// The cluster does not take it; nothing was made then.
pub(super) async fn start(assignment: &Assignment, image: &str, context: &Context) -> Result<Crew, Failure> {
    let Some(reached) = context.cluster.get() else { return Err(Failure::internal("the cluster was not reached")) };
    let (cluster, instance) = (&reached.cluster, context.instance.name.as_str());
    let order = Order { namespace: cluster.namespace(), instance, image, assignment };
    let job: Job = manifest::job(&order).and_then(serde_json::from_value).map_err(Failure::internal)?;
    cluster.recheck().await.map_err(|error| trouble::cluster(&error))?;
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    let options = PostParams { field_manager: Some(cluster.owner().manager().to_owned()), ..PostParams::default() };
    let made = jobs.create(&options, &job).await.map_err(|error| not_taken(&error))?;
    let (tell, heard) = mpsc::channel(WAITING);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let following = Following::new(cluster.clone(), &made, assignment.generators, tell, stop.clone(), kill.clone());
    tokio::spawn(following.until_all_have_ended());
    Ok(Crew { heard, stop, kill })
}

fn not_taken(error: &kube::Error) -> Failure {
    let failure = Failure::new("job", Exit::NotReady, format!("the cluster does not take the job: {}", reason(error)));
    failure.fix("check with `kubectl auth can-i create jobs`, or use --runner local").left("nothing was sent")
}
