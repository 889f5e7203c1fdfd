//! Generators in the cluster, beside the platform: a Job with a pod for each, heard through their logs.
//!
//! The log is the way back because it is there for a container that has ended, needs no right but the one to read logs,
//! nothing in the image, and nobody who waits for anybody; `exec` and copying have none of that. What can go wrong with it
//! is provided for in `card_loadtests::shard::wire`: lines are short, the last ones have numbers and a digest, and the
//! whole stays below the size at which logs are rotated. They are read as they come, and, should the stream have lost
//! some, once more from the container that has ended.

#![expect(dead_code, reason = "there are no targets in a cluster yet")]

mod follow;
mod manifest;
mod pods;

use card_kube::cluster::{Cluster, ClusterError};
use card_loadtests::shard::Assignment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::follow::Following;
use self::manifest::Order;
use super::generators::Crew;
use crate::exit::Exit;
use crate::failure::Failure;

/// Lines that wait to be read.
const WAITING: usize = 4096;

/// Where they run, and from which image.
pub(super) struct Place<'a> {
    /// The platform's cluster and namespace.
    pub(super) cluster: &'a Cluster,
    /// The platform's name.
    pub(super) instance: &'a str,
    /// The image of this program.
    pub(super) image: &'a str,
}

/// Creates the Job. It is removed when its pods have ended, or when the [`Crew`] is told to stop.
///
/// # Errors
/// The cluster does not take it; nothing was made then.
pub(super) async fn start(assignment: &Assignment, place: Place<'_>) -> Result<Crew, Failure> {
    let Place { cluster, instance, image } = place;
    let order = Order { namespace: cluster.namespace(), instance, image, assignment };
    let job: Job = manifest::job(&order).and_then(serde_json::from_value).map_err(Failure::internal)?;
    cluster.recheck().await.map_err(|error| of_cluster(&error))?;
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    let options = PostParams { field_manager: Some(card_kube::FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let made = jobs.create(&options, &job).await.map_err(|error| not_taken(&error))?;
    let (tell, heard) = mpsc::channel(WAITING);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let following = Following::new(cluster.clone(), &made, assignment.generators, tell, stop.clone(), kill.clone());
    tokio::spawn(following.until_all_have_ended());
    Ok(Crew { heard, stop, kill })
}

fn of_cluster(error: &ClusterError) -> Failure {
    let failure = Failure::new("cluster", Exit::NotReady, error.to_string()).left("nothing was sent");
    match error.fix() {
        Some(fix) => failure.fix(fix),
        None => failure,
    }
}

fn not_taken(error: &kube::Error) -> Failure {
    let failure = Failure::new("job", Exit::NotReady, format!("the cluster does not take the job: {error}"));
    failure.fix("check with `kubectl auth can-i create jobs`, or use --runner local").left("nothing was sent")
}
