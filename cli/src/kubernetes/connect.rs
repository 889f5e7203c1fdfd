//! Which cluster is meant, and whether it is the one that the instance was deployed to.

use card_kube::Owner;
use card_kube::cluster::{Cluster, Connect};

use super::{Deployment, Kind, trouble};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Where the objects of an instance are, unless the settings or its deployment say otherwise.
const NAMESPACE: &str = "cardctl";
/// Whose the fields, labels and annotations of a deployment are, and what its inventory is named.
const OWNER: &str = "cardctl";

/// Connects to the cluster that is meant and asks it who it is.
///
/// # Errors
/// No context is named, it is not local and not allowed, it can't be reached, or it is another cluster than the one that the
/// instance was deployed to.
pub async fn connect(kind: Kind, context: &Context) -> Result<Cluster, Failure> {
    let deployment = Deployment::load(&context.instance).filter(|deployment| deployment.kind == kind);
    let settings = &context.settings.settings;
    let asked = match kind {
        Kind::Minikube => Some(settings.minikube.profile.clone()),
        Kind::Kube => Some(settings.kube.context.clone()).filter(|name| !name.is_empty()),
    };
    if let (Some(asked), Some(deployment)) = (&asked, &deployment)
        && *asked != deployment.context
    {
        return Err(elsewhere(deployment, format!("the requested context is {asked:?}"), context));
    }
    context.name_from_project(match kind {
        Kind::Minikube => &["target", "minikube.profile", "kube.namespace"],
        Kind::Kube => &["target", "kube.context", "kube.allow", "kube.namespace", "kube.registry"],
    });
    let named = std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty());
    let options = Connect {
        kubeconfig: deployment.as_ref().and_then(|deployment| deployment.kubeconfig.clone()).filter(|_| !named),
        context: asked.or_else(|| Some(deployment.as_ref()?.context.clone())),
        namespace: namespace(context),
        owner: Owner::new(OWNER),
        allowed: allowed(deployment.as_ref(), context),
        timeout: None,
    };
    // A plugin that logs in may wait for somebody; who gives up does not.
    let cluster = tokio::select! {
        biased;
        () = context.stop.cancelled() => return Err(context.interruption()),
        connected = Cluster::connect(&options) => connected.map_err(|error| trouble::cluster(&error))?,
    };
    match deployment {
        Some(deployment) if !deployment.is_of(&cluster) => {
            let is = format!("the context {:?} leads to {}", deployment.context, cluster.identity());
            Err(elsewhere(&deployment, is, context))
        }
        _ => Ok(cluster),
    }
}

/// Where the objects of an instance are: as the settings say, as it was deployed, or by its name.
#[must_use]
pub fn namespace(context: &Context) -> String {
    let given = &context.settings.settings.kube.namespace;
    let deployment = Deployment::load(&context.instance);
    match (given.as_str(), deployment, context.instance.name.as_str()) {
        ("", Some(deployment), _) => deployment.namespace,
        ("", None, "default") => NAMESPACE.to_owned(),
        ("", None, instance) => format!("{NAMESPACE}-{instance}"),
        (given, ..) => given.to_owned(),
    }
}

/// What was allowed when it was deployed stays so.
fn allowed(deployment: Option<&Deployment>, context: &Context) -> Vec<String> {
    let settings = context.settings.settings.kube.allow.split(',').map(|name| name.trim().to_owned());
    settings.filter(|name| !name.is_empty()).chain(deployment.map(|deployment| deployment.context.clone())).collect()
}

fn elsewhere(deployment: &Deployment, evidence: String, context: &Context) -> Failure {
    let Deployment { context: name, namespace, server, cluster_id, .. } = deployment;
    let instance = &context.instance.name;
    Failure::new("other-cluster", Exit::NotReady, format!("instance {instance:?} is deployed to another cluster"))
        .evidence(format!("it is in the context {name:?}, namespace {namespace}, at {server} (cluster {cluster_id})"))
        .evidence(evidence)
        .fix(format!(
            "use another instance: cardctl --instance NAME; if that cluster no longer exists: rm {}",
            context.instance.deployment().display()
        ))
        .left("nothing was changed")
}
