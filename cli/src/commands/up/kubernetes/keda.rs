//! Who says how many workers there are: KEDA if the cluster has it, or if it is to be brought there; else an HPA, which only
//! knows their CPU.

use std::io::Write;
use std::time::Duration;

use card_kube::apply::{ApplyOptions, Outcome, apply};
use card_kube::cluster::Cluster;
use card_kube::inventory::Release;
use card_manifests::{Scale, Values, in_apply_order, load};
use kube::discovery;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::values::Asked;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kubernetes::trouble;

/// The release that the manifests were written for.
pub(crate) const PINNED: &str = "https://github.com/kedacore/keda/releases/download/v2.17.2/keda-2.17.2.yaml";

/// Where KEDA's own manifests put it.
const NAMESPACE: &str = "keda";
/// Some megabytes from wherever it is.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Chooses, and says aloud what the choice means.
pub(super) async fn choose(
    asked: &Asked,
    install: Option<&str>,
    values: &mut Values,
    cluster: &Cluster,
    context: &Context,
) -> Result<(), Failure> {
    let mut is_there = asked.autoscale.is_some() && is_served(cluster).await;
    if let Some(source) = install
        && !is_there
    {
        bring(source, cluster, context).await?;
        is_there = true;
    }
    let Some(bounds) = asked.autoscale else { return Ok(()) };
    if is_there {
        values.workers = Some(Scale::Backlog(bounds));
        return Ok(());
    }
    context.printer.say(
        "the cluster has no KEDA: workers are scaled by their CPU, which does not follow a backlog (docs/scaling.md); \
         --install-keda brings it",
    );
    values.workers = Some(Scale::Cpu(bounds));
    Ok(())
}

async fn is_served(cluster: &Cluster) -> bool {
    discovery::group(cluster.client(), "keda.sh").await.is_ok()
}

/// Applies KEDA's manifests. They are nobody's but the cluster's afterwards: `down` leaves them, others may use them.
async fn bring(source: &str, cluster: &Cluster, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    printer.say(format!("bringing KEDA from {source}; down leaves it, since others may come to use it"));
    let mut objects = read(source).await?;
    in_apply_order(&mut objects);
    let home = cluster.in_namespace(NAMESPACE).await.map_err(|error| trouble::cluster(&error))?;
    let release = Release { instance: "keda".to_owned(), version: card_core::VERSION.to_owned() };
    let options = ApplyOptions::default();
    let applied = apply(&home, &objects, &release, &options, &|_| {}).await.map_err(|error| trouble::apply(&error))?;
    let created = applied.count(Outcome::Created);
    printer.step(format!("KEDA: {created} objects created of {}", applied.changes.len()));
    Ok(())
}

/// From a file, or from an address, which may say what it must be: `https://…#sha256=…`.
async fn read(source: &str) -> Result<Vec<Value>, Failure> {
    let unusable = |reason: String| {
        Failure::new("keda", Exit::NotReady, format!("KEDA's manifests can't be used: {reason}"))
            .evidence(source)
            .fix(format!("fetch {PINNED} by another way, and --install-keda FILE"))
            .left("nothing was deployed")
    };
    if !source.starts_with("https://") && !source.starts_with("http://") {
        return load(std::path::Path::new(source)).map_err(|error| unusable(error.to_string()));
    }
    let (address, digest) =
        source.split_once("#sha256=").map_or((source, None), |(address, digest)| (address, Some(digest)));
    let fetch = async {
        let client = reqwest::Client::builder().timeout(FETCH_LIMIT).build()?;
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

    #[tokio::test]
    async fn a_source_that_is_not_there_is_told_with_another_way() {
        let gone = read("/nowhere/keda.yaml").await.unwrap_err();
        assert_eq!(gone.exit, Exit::NotReady);
        assert!(gone.fix.unwrap().contains("--install-keda FILE"));
    }
}
