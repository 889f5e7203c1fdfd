//! Who says how many workers there are: KEDA if the cluster has it, or if it is to be brought there; else an HPA, which only
//! knows their CPU.

use std::io::Write;
use std::time::Duration;

use card_core::settings::holds_credentials;
use card_core::time::format_duration;
use card_kube::ObjectRef;
use card_kube::apply::{ApplyOptions, Outcome, apply};
use card_kube::cluster::Cluster;
use card_kube::inventory::Release;
use card_kube::wait::{Awaited, Verdict, WaitOptions, wait};
use card_manifests::{Scale, Values, in_apply_order, load};
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::values::Asked;
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::keda::{Keda, find};
use crate::kubernetes::trouble;
use card_core::exit::Exit;

/// The release that the manifests were written for, and what its file must be: who can change a release cannot change that.
pub(crate) const PINNED: &str = "https://github.com/kedacore/keda/releases/download/v2.17.2/keda-2.17.2.yaml\
    #sha256=1912c29059e41e80b6abe8b29a566e07337f85fc4bf4fd5698c637fe63ecbf35";

/// Where KEDA's own manifests put it.
const NAMESPACE: &str = "keda";
/// Some megabytes from wherever it is.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Refuses a source that would be shown with a password.
pub(super) fn check(install: Option<&str>) -> Result<(), Failure> {
    if install.is_none_or(|source| !holds_credentials(source)) {
        return Ok(());
    }
    let message = "--install-keda: an address must not hold a user name or a password";
    Err(Failure::new("usage", Exit::Usage, message)
        .fix("download it some other way, then use --install-keda FILE")
        .left("nothing was deployed; change that password if other people use this machine"))
}

/// Chooses, and says aloud what the choice means.
pub(super) async fn choose(
    asked: &Asked,
    install: Option<&str>,
    values: &mut Values,
    cluster: &Cluster,
    deadline: Instant,
    context: &Context,
) -> Result<(), Failure> {
    let wanted = asked.autoscale.is_some() || install.is_some();
    let mut found = if wanted { find(cluster).await } else { Keda::Absent };
    if let Some(source) = install
        && found != Keda::Running
    {
        bring(source, cluster, deadline, context).await?;
        found = Keda::Running;
    }
    let Some(bounds) = asked.autoscale else { return Ok(()) };
    match found {
        Keda::Running => {
            values.workers = Some(Scale::Backlog(bounds));
            return Ok(());
        }
        Keda::Stopped => {
            let message = "the cluster has KEDA's CRDs, but no keda-operator is running, so nothing would be scaled";
            return Err(Failure::new("keda-not-running", Exit::NotReady, message)
                .fix("kubectl get pods -A -l app=keda-operator; or install it: cardctl up --install-keda")
                .left("nothing was deployed"));
        }
        Keda::Absent => {}
    }
    context.printer.say(
        "the cluster has no KEDA: workers are scaled by CPU, which does not follow the backlog (docs/scaling.md); --install-keda installs it",
    );
    values.workers = Some(Scale::Cpu(bounds));
    Ok(())
}

/// Applies KEDA's manifests. They are nobody's but the cluster's afterwards: `down` leaves them, others may use them.
async fn bring(source: &str, cluster: &Cluster, deadline: Instant, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    printer.say(format!("installing KEDA from {source}; down keeps it, because others may use it"));
    let mut objects = read(source).await?;
    in_apply_order(&mut objects);
    let home = cluster.in_namespace(NAMESPACE).await.map_err(|error| trouble::cluster(&error))?;
    let release = Release { instance: "keda".to_owned(), version: card_core::VERSION.to_owned() };
    let options = ApplyOptions::default();
    let applied = apply(&home, &objects, &release, &options, &|_| {}).await.map_err(|error| trouble::apply(&error))?;
    let created = applied.count(Outcome::Created);
    printer.step(format!("KEDA: {created} objects created of {}", applied.changes.len()));
    let runs = |object: &&Value| object["kind"] == "Deployment";
    let awaited: Vec<_> =
        objects.iter().filter(runs).filter_map(ObjectRef::of).map(|object| in_home(object, &home)).collect();
    let limit = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    let options = WaitOptions { cancel: context.stop.clone(), ..WaitOptions::new(limit) };
    let ending = wait(home.client(), &awaited, options, |_| {}).await;
    let stays = "KEDA's objects are kept; nothing of the platform was deployed";
    match ending.verdict {
        Verdict::Ready => Ok(()),
        Verdict::Cancelled => Err(context.interruption().left(stays)),
        Verdict::Failed { findings } => {
            Err(trouble::findings("KEDA does not start".to_owned(), Exit::DeployFailed, &findings).left(stays))
        }
        Verdict::TimedOut { findings, .. } => {
            let message = format!("KEDA was not ready within {}", format_duration(limit));
            Err(trouble::findings(message, Exit::Timeout, &findings).left(stays))
        }
        Verdict::Unreachable { message } => Err(Failure::new(
            "cluster-unreachable",
            Exit::Unknown,
            format!("the cluster can't be reached any more: {message}"),
        )
        .left(stays)),
    }
}

/// What names no namespace goes where KEDA's own manifests put the rest.
fn in_home(mut object: ObjectRef, home: &Cluster) -> Awaited {
    object.namespace.get_or_insert_with(|| home.namespace().to_owned());
    Awaited::new(object)
}

/// From a file, or from an address, which may say what it must be: `https://…#sha256=DIGEST`.
async fn read(source: &str) -> Result<Vec<Value>, Failure> {
    let unusable = |reason: String| {
        let pinned = PINNED.split_once('#').map_or(PINNED, |(address, _)| address);
        Failure::new("keda", Exit::NotReady, format!("KEDA's manifests can't be used: {reason}"))
            .evidence(source)
            .fix(format!("download {pinned} some other way, then use --install-keda FILE"))
            .left("nothing was deployed")
    };
    if !source.starts_with("https://") && !source.starts_with("http://") {
        return load(std::path::Path::new(source)).map_err(|error| unusable(error.to_string()));
    }
    let (address, digest) =
        source.split_once("#sha256=").map_or((source, None), |(address, digest)| (address, Some(digest)));
    let address = Url::parse(address).map_err(|error| unusable(error.to_string()))?;
    let fetch = async {
        let client = card_http::elsewhere("cardctl", &address).timeout(FETCH_LIMIT).build()?;
        client.get(address).send().await?.error_for_status()?.bytes().await
    };
    let bytes = fetch.await.map_err(|error| unusable(error.without_url().to_string()))?;
    if let Some(digest) = digest {
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if !found.eq_ignore_ascii_case(digest) {
            return Err(unusable(format!("its sha256 is {found}")));
        }
    }
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().map_err(|error| unusable(error.to_string()))?;
    file.write_all(&bytes).map_err(|error| unusable(error.to_string()))?;
    load(file.path()).map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const OBJECT: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: keda\n";

    /// Answers one request with the object; gives its address.
    async fn served() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 1024];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", OBJECT.len());
            stream.write_all(format!("{head}{OBJECT}").as_bytes()).await.unwrap();
        });
        format!("http://{address}/keda.yaml")
    }

    #[tokio::test]
    async fn what_was_fetched_is_what_it_must_be() {
        let digest: String = Sha256::digest(OBJECT).iter().map(|byte| format!("{byte:02x}")).collect();
        let objects = read(&format!("{}#sha256={digest}", served().await)).await.unwrap();
        assert_eq!(objects[0]["metadata"]["name"], "keda");
        let other = read(&format!("{}#sha256={}", served().await, "0".repeat(64))).await.unwrap_err();
        assert!(other.message.contains(&digest), "{}", other.message);
    }

    #[test]
    fn the_pinned_release_says_what_it_must_be() {
        let (address, digest) = PINNED.split_once("#sha256=").unwrap();
        assert!(address.ends_with(".yaml"), "{address}");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    }

    #[tokio::test]
    async fn a_source_that_is_not_there_is_told_with_another_way() {
        let gone = read("/nowhere/keda.yaml").await.unwrap_err();
        assert_eq!(gone.exit, Exit::NotReady);
        assert!(gone.fix.unwrap().contains("--install-keda FILE"));
    }
}
