//! `cardctl down` of a platform in a cluster.

use std::time::Duration;

use card_core::time::format_duration;
use card_kube::cluster::Cluster;
use card_kube::down::{Down, DownError, DownOptions, Home, down};
use card_kube::{ObjectRef, Removal};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::confirm;
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::{Deployment, Kind, connect, release, trouble};
use card_core::exit::Exit;

/// What a pod is given to finish (30 s), twice, and what a volume takes.
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Serialize)]
struct Document<'a> {
    instance: &'a str,
    target: &'static str,
    /// Whether there was anything.
    stopped: bool,
    pid: Option<u32>,
    killed: bool,
    purged: bool,
    state_dir: String,
    database: Option<&'a str>,
    context: &'a str,
    namespace: &'a str,
    deleted: Vec<String>,
    kept: Vec<String>,
    namespace_deleted: bool,
}

pub(crate) async fn run(purge: bool, kind: Kind, context: &Context) -> Result<Exit, Failure> {
    let cluster = connect(kind, context).await?;
    take_down(purge, kind, &cluster, &context.stop, context).await
}

/// Deletes what is there, until `stop`: whoever cleans up after a signal does not listen to the same one again.
pub(crate) async fn take_down(
    purge: bool,
    kind: Kind,
    cluster: &Cluster,
    stop: &CancellationToken,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = format!("context {}, namespace {}", cluster.context().unwrap_or("-"), cluster.namespace());
    if purge {
        confirm(&format!("all data of instance {:?} in {place}", context.instance.name), context)?;
    }
    let printer = &context.printer;
    let options = DownOptions { purge, timeout: LIMIT };
    let release = release(context);
    let said = |removal: &Removal| {
        if let Some(words) = words(removal) {
            printer.step(words);
        }
    };
    let went = tokio::select! {
        went = down(cluster, &release, &options, &said) => went.map_err(|error| refused(&error))?,
        () = stop.cancelled() => {
            return Err(context.interruption()
                .fix(format!("{} down", context.program()))
                .left("what was deleted stays deleted; run the same command again to continue"));
        }
    };
    let Down { deleted, kept, home } = &went;
    // As long as something is kept there, it is known where.
    if kept.is_empty() {
        Deployment::remove(&context.instance).map_err(|error| {
            Failure::new("state-directory", Exit::NotReady, format!("the deployment can't be recorded: {error}"))
                .evidence(context.instance.deployment().display())
        })?;
    }
    let names = |objects: &[ObjectRef]| objects.iter().map(ToString::to_string).collect::<Vec<_>>();
    printer.data(&Document {
        instance: &context.instance.name,
        target: kind.name(),
        stopped: !deleted.is_empty(),
        pid: None,
        killed: false,
        purged: purge,
        state_dir: context.instance.dir.display().to_string(),
        database: None,
        context: cluster.context().unwrap_or("-"),
        namespace: cluster.namespace(),
        deleted: names(deleted),
        kept: names(kept),
        namespace_deleted: *home == Home::Deleted,
    })?;
    let what = match deleted.len() {
        0 => "nothing was deployed".to_owned(),
        1 => "1 object deleted".to_owned(),
        count => format!("{count} objects deleted"),
    };
    let data = match kept.len() {
        0 => "nothing of it is left".to_owned(),
        _ => format!("kept: {} (--purge deletes them)", names(kept).join(", ")),
    };
    printer.text(format!("{what} in {place}; {data}"))?;
    if let Some(why) = stays(home, cluster.namespace()) {
        printer.text(why)?;
    }
    Ok(Exit::Done)
}

/// What takes time or matters; the others go without a word.
fn words(removal: &Removal) -> Option<String> {
    let matters = |object: &ObjectRef| {
        matches!(
            object.kind.as_str(),
            "Deployment" | "StatefulSet" | "Job" | "PersistentVolumeClaim" | "Secret" | "Namespace"
        )
    };
    match removal {
        Removal::Deleting(object) => matters(object).then(|| format!("deleting {object}")),
        Removal::Gone(object) => matters(object).then(|| format!("{object} is gone")),
        // Kubernetes' own finalizer waits for the pods.
        Removal::Held(object, finalizers) if finalizers.iter().all(|name| name == "foregroundDeletion") => {
            Some(format!("{object}: its pods are finishing their work"))
        }
        Removal::Held(object, finalizers) => Some(format!("{object} is held by {}", finalizers.join(", "))),
    }
}

/// Why the namespace is still there.
fn stays(home: &Home, namespace: &str) -> Option<String> {
    match home {
        Home::Deleted | Home::Absent | Home::HoldsKept => None,
        Home::Found => Some(format!("the namespace {namespace} existed before and is kept")),
        Home::InUse(by) => {
            let names = by.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Some(format!("the namespace {namespace} is kept, because it contains other objects ({names})"))
        }
    }
}

fn refused(error: &DownError) -> Failure {
    let failure = match error {
        DownError::Cluster(error) => {
            return trouble::cluster(error)
                .left("what was deleted stays deleted; run the same command again to continue");
        }
        DownError::StillThere { .. } => Failure::new("still-there", Exit::Timeout, error.to_string())
            .evidence(format!("it was given {}", format_duration(LIMIT))),
        DownError::Inventory(_) => Failure::new("inventory", Exit::NotReady, error.to_string()),
    };
    error
        .fix()
        .into_iter()
        .fold(failure, Failure::fix)
        .left("what was deleted stays deleted; run the same command again to continue")
}
