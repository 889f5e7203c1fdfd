//! Whether a cluster can be used, and what of it the platform would miss.

use card_kube::cluster::{Cluster, Locality, reason};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams, PostParams};
use kube::discovery;

use super::Check;
use crate::context::Context;
use crate::kubernetes::keda::{Keda, find};
use crate::kubernetes::{Kind, connect};
use crate::minikube::{Minikube, State};

/// The oldest minor version of Kubernetes 1 that the manifests were tried on.
const OLDEST: u32 = 28;
/// Marks the class of volumes that nobody asked for by name.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) async fn check(kind: Kind, context: &Context, checks: &mut Vec<Check>) {
    if kind == Kind::Minikube && !minikube(context, checks).await {
        return;
    }
    let cluster = match connect(kind, context).await {
        Ok(cluster) => cluster,
        Err(failure) => {
            return checks.push(Check::fail(
                "cluster",
                failure.message,
                failure.fix.unwrap_or_else(|| "kubectl cluster-info".to_owned()),
            ));
        }
    };
    let place = if cluster.locality() == Locality::Local {
        "on this machine"
    } else {
        "not on this machine, but allowed by name"
    };
    let name = cluster.context().unwrap_or("-");
    checks.push(Check::ok("cluster", format!("context {name} answers, {place}: {}", cluster.identity())));
    checks.push(version(&cluster).await);
    checks.push(rights(&cluster).await);
    checks.push(storage(&cluster).await);
    checks.push(
        served(
            &cluster,
            "metrics.k8s.io",
            "metrics-server",
            "autoscaling by CPU has no metrics",
            "minikube addons enable metrics-server, or install metrics-server",
        )
        .await,
    );
    checks.push(keda(&cluster).await);
}

async fn keda(cluster: &Cluster) -> Check {
    const NAME: &str = "keda";
    let fix = "cardctl up --install-keda";
    match find(cluster).await {
        Keda::Running => Check::ok(NAME, "keda-operator runs"),
        Keda::Stopped => {
            Check::warn(NAME, "the cluster has KEDA's CRDs, but no keda-operator is running, so nothing is scaled", fix)
        }
        Keda::Absent => {
            Check::warn(NAME, "not installed: --autoscale falls back to CPU, which does not follow the backlog", fix)
        }
    }
}

/// Whether it makes sense to look further.
async fn minikube(context: &Context, checks: &mut Vec<Check>) -> bool {
    let minikube = Minikube::new(&context.settings.settings.minikube.profile);
    let profile = minikube.profile().to_owned();
    let (check, is_running) = match minikube.state().await {
        Ok(State::Running) => (Check::ok("minikube", format!("profile {profile} runs")), true),
        Ok(State::Absent) => (
            Check::warn("minikube", format!("there is no profile {profile}"), "cardctl up -t minikube creates it"),
            false,
        ),
        Ok(State::Stopped(what)) => (
            Check::warn(
                "minikube",
                format!("profile {profile} is not running: {what}"),
                "cardctl up -t minikube starts it",
            ),
            false,
        ),
        Ok(State::Misconfigured) => {
            let fix = format!("minikube update-context --profile {profile}");
            (Check::fail("minikube", "the kubeconfig has an outdated address for it", fix), false)
        }
        Err(failure) => (Check::fail("minikube", failure.message, failure.fix.unwrap_or_default()), false),
    };
    checks.push(check);
    is_running
}

async fn version(cluster: &Cluster) -> Check {
    match cluster.client().apiserver_version().await {
        Ok(info) => {
            let minor =
                info.minor.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse::<u32>().unwrap_or(0);
            if info.major == "1" && minor < OLDEST {
                let fix = format!("use a cluster of 1.{OLDEST} or newer");
                return Check::warn(
                    "kubernetes",
                    format!("{} is older than any tested version", info.git_version),
                    fix,
                );
            }
            Check::ok("kubernetes", info.git_version)
        }
        Err(error) => Check::fail("kubernetes", reason(&error), "kubectl version"),
    }
}

/// Kinds of which every `up` applies objects and deletes what is no longer wanted, and a `down` all.
const APPLIED: [(&str, &str); 7] = [
    ("", "configmaps"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("networking.k8s.io", "networkpolicies"),
    ("policy", "poddisruptionbudgets"),
];
const APPLYING: [&str; 5] = ["get", "list", "create", "patch", "delete"];

/// What else it does: the namespace is labelled, secrets are made, what comes up is watched and forwarded to. A port is forwarded
/// by a websocket: `get` for clusters before 1.35, `create` as well since.
const NEEDED: [(&str, &str, &str); 20] = [
    ("patch", "", "namespaces"),
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("create", "", "secrets"),
    ("patch", "", "secrets"),
    ("get", "", "persistentvolumeclaims"),
    ("list", "", "persistentvolumeclaims"),
    ("watch", "", "persistentvolumeclaims"),
    ("list", "autoscaling", "horizontalpodautoscalers"),
    ("watch", "apps", "deployments"),
    ("watch", "apps", "statefulsets"),
    ("list", "", "pods"),
    ("watch", "", "pods"),
    ("list", "apps", "replicasets"),
    ("watch", "apps", "replicasets"),
    ("list", "", "events"),
    ("watch", "", "events"),
    ("get", "", "pods/log"),
    ("get", "", "pods/portforward"),
    ("create", "", "pods/portforward"),
];
/// How many are asked for at once.
const AT_ONCE: usize = 8;

async fn rights(cluster: &Cluster) -> Check {
    let namespaces: Api<Namespace> = Api::all(cluster.client().clone());
    // Who may only use a namespace of their own may not look at it; then it is there.
    let is_missing = matches!(namespaces.get_opt(cluster.namespace()).await, Ok(None));
    let applied = APPLIED.iter().flat_map(|(group, resource)| APPLYING.map(|verb| (verb, *group, *resource)));
    let asked = applied.chain(NEEDED).chain(is_missing.then_some(("create", "", "namespaces")));
    let answers = stream::iter(asked).map(|(verb, group, resource)| async move {
        may(cluster, verb, group, resource).await.map(|may| (!may).then_some((verb, resource)))
    });
    let missing: Result<Vec<_>, kube::Error> =
        answers.buffered(AT_ONCE).try_filter_map(|missing| async move { Ok(missing) }).try_collect().await;
    match missing {
        Err(error) => {
            let detail = format!("permissions can't be checked: {}", reason(&error));
            Check::warn("rights", detail, "kubectl auth can-i --list")
        }
        Ok(missing) if missing.is_empty() => {
            Check::ok("rights", format!("all required permissions in namespace {}", cluster.namespace()))
        }
        Ok(missing) => {
            let detail = format!("not allowed in namespace {}: {}", cluster.namespace(), by_resource(&missing));
            let other = if is_missing { ", or use an existing namespace: --namespace NAME" } else { "" };
            // Each of them is where `up` would end.
            Check::fail("rights", detail, format!("ask for the permissions{other}"))
        }
    }
}

/// Such as `services (get, list), namespaces (patch)`.
fn by_resource(rights: &[(&str, &str)]) -> String {
    let mut resources: Vec<&str> = Vec::new();
    for (_, resource) in rights {
        if !resources.contains(resource) {
            resources.push(resource);
        }
    }
    let verbs = |of: &str| {
        let verbs: Vec<_> = rights.iter().filter(|(_, resource)| *resource == of).map(|(verb, _)| *verb).collect();
        format!("{of} ({})", verbs.join(", "))
    };
    resources.into_iter().map(verbs).collect::<Vec<_>>().join(", ")
}

async fn may(cluster: &Cluster, verb: &str, group: &str, resource: &str) -> Result<bool, kube::Error> {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: Some(cluster.namespace().to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

async fn storage(cluster: &Cluster) -> Check {
    let classes: Api<StorageClass> = Api::all(cluster.client().clone());
    let fix = "mark one as the default, name one with manifests render --storage-class, or use an external Postgres";
    match classes.list(&ListParams::default()).await {
        Ok(list) => {
            let is_default = |class: &&StorageClass| {
                let annotations = class.metadata.annotations.as_ref();
                annotations.and_then(|all| all.get(DEFAULT_CLASS)).is_some_and(|value| value == "true")
            };
            match list.items.iter().find(is_default) {
                Some(class) => {
                    Check::ok("storage", format!("volumes use class {}", class.metadata.name.as_deref().unwrap_or("-")))
                }
                None => Check::warn(
                    "storage",
                    "there is no default storage class, so the Postgres volume would stay pending",
                    fix,
                ),
            }
        }
        Err(error) => Check::warn(
            "storage",
            format!("the storage classes can't be listed: {}", reason(&error)),
            "ask whether there is a default one, or use an external Postgres",
        ),
    }
}

async fn served(cluster: &Cluster, group: &str, name: &'static str, without: &str, fix: &str) -> Check {
    match discovery::group(cluster.client(), group).await {
        Ok(_) => Check::ok(name, format!("{group} is served")),
        Err(_) => Check::warn(name, format!("not installed: {without}"), fix),
    }
}
