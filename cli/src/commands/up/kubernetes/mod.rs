//! `cardctl up` into a cluster: images, secrets, objects, and then it stays until the platform works or says why it does not.
//!
//! ```text
//! cluster ─ images ─ objects ─ deployment.json ─ secrets ─ apply ─ wait ─ prune ─ address ─ one `add` goes through
//! ```
//!
//! Each step can be done again, so an `up` that was killed anywhere is gone on with by the next.

mod address;
mod again;
mod banner;
mod complaints;
mod images;
pub(super) mod keda;
mod minikube;
mod scaled;
mod values;

use std::fmt::Debug;
use std::time::Duration;

use card_core::time::format_duration;
use card_kube::apply::{Applied, ApplyOptions, Change, Outcome, apply};
use card_kube::cluster::Cluster;
use card_kube::inventory::{Member, PART_OF, Release};
use card_kube::wait::{Awaited, Verdict, WaitOptions, wait};
use card_kube::{ObjectRef, prune};
use card_manifests::render;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment as Workload, StatefulSet};
use kube::api::{Api, ListParams, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::values::Asked;
use super::{KINDS, UpArgs, wrapped};
use crate::commands::down::kubernetes::take_down;
use crate::context::Context;
use crate::failure::Failure;
use crate::instance::{Proof, Record, prove};
use crate::kubernetes::{
    Deployment, Flags, Kind, Table, connect, ensure_certificate, ensure_secrets, lasting, release, stamp, trouble,
    words,
};
use card_core::exit::Exit;

/// How long to wait unless it is said: images are pulled, a volume is made, Postgres starts for the first time.
const WAIT: Duration = Duration::from_secs(300);

/// A platform that is ready in a cluster.
pub(super) struct Ready {
    deployment: Deployment,
    /// The cluster's own address for the API, if this machine can use it.
    url: Option<String>,
    took: Duration,
    /// It ran before, and nothing had to be changed.
    already_up: bool,
    applied: Applied,
    pruned: usize,
    workers: usize,
    proof: Proof,
}

pub(super) async fn run(args: UpArgs, kind: Kind, context: &Context) -> Result<Exit, Failure> {
    let mut args = args;
    if let Some(kinds) = args.kinds_setting() {
        args.set.push((KINDS.to_owned(), kinds));
    }
    keda::check(args.install_keda.as_deref())?;
    let last = Deployment::load(&context.instance).filter(|deployment| deployment.kind == kind);
    let args = match &last {
        Some(last) => again::with(args, &last.asked)?,
        None => args,
    };
    let asked = Asked::read(&args, last.as_ref().map(|last| &last.asked), kind, context)?;
    if let Some(record) = Record::running(&context.instance) {
        let name = &context.instance.name;
        return Err(Failure::new(
            "busy",
            Exit::NotReady,
            format!("instance {name:?} is already running on this machine"),
        )
        .evidence(format!("process {}, {}", record.process.pid, record.url))
        .fix(format!(
            "{} down, or start a second instance: cardctl --instance NAME up -t {}",
            context.program(),
            kind.name()
        ))
        .left("the running platform was not changed"));
    }
    let begun = Instant::now();
    if kind == Kind::Minikube {
        minikube::ready(context).await?;
    }
    let cluster = connect(kind, context).await?;
    // What was up before stays after a command, whatever `up` changed.
    let was_there = args.command.is_empty() || runs(&cluster).await;
    let converged = tokio::select! {
        converged = converge(&args, &asked, kind, &cluster, begun, context) => converged,
        () = context.stop.cancelled() => Err(context.interruption()
            .fix(format!("{} up -t {}", context.program(), kind.name()))
            .left("applied objects are kept and continue to start; run the same command again to continue")),
    };
    let unasked = CancellationToken::new();
    let taken_down = || take_down(false, kind, &cluster, &unasked, context);
    let ready = match converged {
        Err(_) if context.stop.is_cancelled() && !was_there => {
            taken_down().await?;
            return Err(context.interruption());
        }
        converged => converged?,
    };
    if args.command.is_empty() {
        if args.detach {
            banner::show(&ready, None, context)?;
            if args.open && ready.url.is_none() {
                let up = format!("{} up -t {} --open", context.program(), kind.name());
                context.printer.say(format!(
                    "the page was not opened: this machine has no way to it; {up}, without -d, forwards it"
                ));
            }
            if let Some(url) = &ready.url {
                args.open_page(url, context).await;
            }
            return Ok(Exit::Done);
        }
        let forward = address::forward(args.port, &cluster, context).await?;
        banner::show(&ready, Some(forward.address()), context)?;
        let url = ready.url.clone().unwrap_or_else(|| format!("http://{}", forward.address()));
        args.open_page(&url, context).await;
        return address::stay(forward, kind, context).await;
    }
    let endpoint = context.endpoint().await?;
    let ended = wrapped::around(&args.command, &endpoint, None, context).await;
    if was_there {
        context.printer.say("the platform was already running, so it is left running");
    } else {
        taken_down().await?;
    }
    wrapped::finish(ended?)
}

async fn converge(
    args: &UpArgs,
    asked: &Asked,
    kind: Kind,
    cluster: &Cluster,
    begun: Instant,
    context: &Context,
) -> Result<Ready, Failure> {
    let printer = &context.printer;
    let limit = args.wait_timeout.unwrap_or(WAIT);
    let deadline = begun + limit;
    let release = release(context);
    let last = Deployment::load(&context.instance).map(|last| last.asked.images).unwrap_or_default();
    let mut images = images::ready(args, &last, kind, context).await?;
    let asked_now = Flags { images: images.clone(), ..again::flags(args, asked.database, asked.redis) };
    let generator = images.remove(images::GENERATOR);
    let mut values = asked.values(cluster, images);
    keda::choose(asked, args.install_keda.as_deref(), &mut values, cluster, deadline, context).await?;
    scaled::keep(&mut values, cluster).await;
    let mut objects = render(&values).map_err(|error| {
        Failure::new("manifests", Exit::Usage, error.to_string()).fix("cardctl up --help lists the flags")
    })?;
    let deployment = Deployment { generator, asked: asked_now, ..Deployment::of(kind, cluster, values.overlay.name()) };
    deployment.store(&context.instance).map_err(|error| {
        Failure::new("state-directory", Exit::NotReady, format!("the deployment can't be recorded: {error}"))
            .evidence(context.instance.deployment().display())
            .left("nothing was deployed")
    })?;
    ensure_secrets(cluster, &release, &asked.addresses).await?;
    stamp(&mut objects, cluster).await?;
    if let Some(host) = asked.certified_host() {
        let ca = ensure_certificate(cluster, &release, host, context).await?;
        if let Some(ca) = ca {
            printer.say(format!(
                "the certificate of the ingress is signed by a local CA; clients must trust {}",
                ca.display()
            ));
        }
    }
    let applied_at = jiff::Timestamp::now();
    let Written { applied, pruned, later } = apply_all(args, &objects, &release, cluster, context).await?;
    let awaited = awaited(&objects);
    let already = applied.count(Outcome::Unchanged) == applied.changes.len() && pruned == 0;
    let begun_waiting = Instant::now();
    wait_for(&awaited, applied_at, deadline, limit, already, cluster, context).await?;
    if !later.is_empty() {
        prune::prune(cluster, &later, &release, &|_| {}).await.map_err(|error| trouble::apply(&error))?;
    }
    let already_up = already && begun_waiting.elapsed() < Duration::from_secs(2);
    let ingress = values.ingress.as_ref().map(|ingress| (ingress.host.as_str(), ingress.tls));
    let place = lasting(cluster, ingress).await;
    let endpoint = context.endpoint().await?;
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(10));
    let kinds = values.settings.get(KINDS).map_or("", String::as_str);
    let proof = tokio::select! {
        proof = prove(&endpoint, kinds, left) => match proof {
            Ok(proof) => proof,
            Err(failure) => return Err(complaints::of(failure, cluster, context).await),
        },
        () = context.stop.cancelled() => return Err(context.interruption()),
    };
    if proof != Proof::OtherKinds {
        printer.step("smoke test passed");
    }
    let workers = address::workers(&endpoint).await;
    Ok(Ready { url: place, deployment, took: begun.elapsed(), already_up, applied, pruned, workers, proof })
}

/// Whether something of the platform is there. A `down` leaves volumes and secrets, and nothing that runs pods.
/// Where the cluster does not say, it may be: what is not known to be ours is never taken down.
async fn runs(cluster: &Cluster) -> bool {
    async fn any<K>(cluster: &Cluster) -> bool
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let all: Api<K> = Api::namespaced(cluster.client().clone(), cluster.namespace());
        let found = all.list_metadata(&ListParams::default().labels(PART_OF).limit(1)).await;
        !found.is_ok_and(|found| found.items.is_empty())
    }
    any::<Workload>(cluster).await || any::<StatefulSet>(cluster).await
}

/// What was written to the cluster.
struct Written {
    applied: Applied,
    /// Objects that are no longer wanted.
    pruned: usize,
    /// Those of them that are deleted when the rest is ready.
    later: Vec<Member>,
}

async fn apply_all(
    args: &UpArgs,
    objects: &[Value],
    release: &Release,
    cluster: &Cluster,
    context: &Context,
) -> Result<Written, Failure> {
    let printer = &context.printer;
    // A number that is given now takes the place of one that was set with scale.
    let counts = args.workers.is_some() || args.servers.is_some();
    let take = if counts { vec![".spec.replicas".to_owned()] } else { Vec::new() };
    let options = ApplyOptions { force: args.force_conflicts, take, ..ApplyOptions::default() };
    let said = |change: &Change| match change.outcome {
        Outcome::Created => printer.step(format!("created {}", change.object)),
        Outcome::Configured => printer.step(format!("changed {}", change.object)),
        Outcome::Unchanged => {}
    };
    let applied = apply(cluster, objects, release, &options, &said).await.map_err(|error| trouble::apply(&error))?;
    for kept in &applied.kept {
        let replicas = kept.replicas.map(|replicas| format!(" ({replicas} now)")).unwrap_or_default();
        printer.step(format!("the replicas of {} are managed by {}{replicas}", kept.object, kept.autoscaler));
    }
    let stale = prune::preview(cluster, objects).await.map_err(|error| trouble::apply(&error))?;
    let said = |members: &[Member], when: &str| {
        let names: Vec<_> = members.iter().map(|member| member.object.to_string()).collect();
        if !names.is_empty() {
            printer.say(format!("no longer needed, deleted{when}: {}", names.join(", ")));
        }
    };
    let (later, now): (Vec<_>, Vec<_>) = stale.into_iter().partition(may_be_needed);
    said(&now, "");
    said(&later, " as soon as the rest is ready");
    if !now.is_empty() {
        prune::prune(cluster, &now, release, &|_| {}).await.map_err(|error| trouble::apply(&error))?;
    }
    Ok(Written { applied, pruned: now.len() + later.len(), later })
}

/// Whether the pods of before may need it, which run until the new ones are ready and may be started once more: their settings,
/// accounts and stores, and the policies that let them there. Not so an autoscaler, which would be in the way of the next, and a way in that is to be
/// closed.
fn may_be_needed(member: &Member) -> bool {
    !matches!(member.object.kind.as_str(), "HorizontalPodAutoscaler" | "ScaledObject" | "Ingress")
}

/// What is waited for: whatever runs pods, and what scales them by the backlog. The platform's own need their Postgres and their Redis first.
fn awaited(objects: &[Value]) -> Vec<Awaited> {
    // An autoscaler that can't read what it follows is not ready either: nothing would ever be scaled.
    let running = |object: &&Value| {
        matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ScaledObject"))
    };
    let all: Vec<ObjectRef> = objects.iter().filter(running).filter_map(ObjectRef::of).collect();
    let stores: Vec<ObjectRef> =
        all.iter().filter(|object| matches!(object.name.as_str(), "postgres" | "redis")).cloned().collect();
    all.into_iter()
        .map(|object| match object.name.as_str() {
            "server" | "worker" => Awaited::new(object).after(stores.clone()),
            _ => Awaited::new(object),
        })
        .collect()
}

async fn wait_for(
    awaited: &[Awaited],
    applied: jiff::Timestamp,
    deadline: Instant,
    limit: Duration,
    already: bool,
    cluster: &Cluster,
    context: &Context,
) -> Result<(), Failure> {
    let options = WaitOptions {
        // What was not changed is believed as it is.
        applied: (!already).then_some(applied),
        cancel: context.stop.clone(),
        ..WaitOptions::new(deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1)))
    };
    let mut table = Table::new(context);
    let ending = wait(cluster.client(), awaited, options, |snapshot| table.draw(snapshot)).await;
    drop(table);
    let stays = "applied objects are kept for inspection; cardctl down removes them, up continues";
    match ending.verdict {
        Verdict::Ready => Ok(()),
        Verdict::Cancelled => Err(context.interruption().left(stays)),
        Verdict::Failed { findings } => {
            let names: Vec<_> =
                findings.iter().filter(|finding| finding.terminal).map(|f| f.owner.to_string()).collect();
            let mut names = if names.is_empty() { vec!["it".to_owned()] } else { names };
            names.dedup();
            let message = format!("{} will not start", names.join(", "));
            Err(trouble::findings(message, Exit::DeployFailed, &findings).left(stays))
        }
        Verdict::TimedOut { findings, missing } => {
            let names: Vec<_> = missing.iter().map(|row| format!("{} {}", row.object, words(row))).collect();
            let message = format!("not ready within {}: {}", format_duration(limit), names.join(", "));
            let failure = trouble::findings(message, Exit::Timeout, &findings).left(stays);
            Err(if failure.fix.is_none() {
                failure.fix("wait longer with --wait-timeout; cardctl logs")
            } else {
                failure
            })
        }
        Verdict::Unreachable { message } => Err(Failure::new(
            "cluster-unreachable",
            Exit::Unknown,
            format!("the cluster can't be reached any more: {message}"),
        )
        .fix("check that the cluster runs: kubectl cluster-info")
        .left(stays)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_runs_pods_is_waited_for_and_the_stores_come_first() {
        let object =
            |kind: &str, name: &str| json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}});
        let objects = [
            object("Deployment", "server"),
            object("Service", "server"),
            object("StatefulSet", "postgres"),
            object("Deployment", "issuer"),
        ];
        let awaited = awaited(&objects);
        let names: Vec<_> = awaited.iter().map(|awaited| (awaited.object.name.as_str(), awaited.after.len())).collect();
        assert_eq!(names, [("server", 1), ("postgres", 0), ("issuer", 0)]);
    }
}
