//! Connections, against the API in memory on loopback.

use serde_json::json;

use super::*;
use crate::Owner;
use crate::apply::tests::{config, run};
use crate::testing::{ApiServer, Fault, Listening};

struct Place {
    directory: tempfile::TempDir,
    server: ApiServer,
    listening: Listening,
}

impl Place {
    async fn new(context: &str) -> Self {
        let server = ApiServer::new();
        let listening = server.listen().await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), listening.kubeconfig(context)).unwrap();
        Self { directory, server, listening }
    }

    fn options(&self, context: Option<&str>) -> Connect {
        Connect {
            kubeconfig: Some(self.path().to_owned()),
            context: context.map(ToOwned::to_owned),
            namespace: "cards".to_owned(),
            owner: Owner::new("cardctl"),
            timeout: Some(Duration::from_millis(500)),
            // It has no TLS.
            allowed: context.iter().map(ToString::to_string).collect(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("config")
    }
}

fn failed(result: Result<Cluster, ClusterError>) -> ClusterError {
    match result {
        Ok(_) => panic!("it connected"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_context_is_named_never_just_the_current_one() {
    let place = Place::new("mine").await;
    let error = failed(Cluster::connect(&place.options(None)).await);
    assert!(matches!(&error, ClusterError::NoContext { known, .. } if known == &["mine"]), "{error}");
    assert!(error.fix().unwrap().contains("--context mine"));
    let error = failed(Cluster::connect(&place.options(Some("other"))).await);
    assert!(matches!(error, ClusterError::UnknownContext { .. }), "{error}");
    let cluster = Cluster::connect(&place.options(Some("mine"))).await.unwrap();
    assert_eq!((cluster.context(), cluster.locality()), (Some("mine"), Locality::Remote));
    assert!(cluster.identity().uid.is_some());
}

#[tokio::test]
async fn a_missing_or_broken_kubeconfig_is_told_without_its_contents() {
    let place = Place::new("mine").await;
    let mut options = place.options(Some("mine"));
    options.kubeconfig = Some(place.directory.path().join("none"));
    assert!(matches!(failed(Cluster::connect(&options).await), ClusterError::NoKubeconfig { .. }));
    std::fs::write(place.path(), "users:\n- name: x\n  user: {token: hunter2\n").unwrap();
    let error = failed(Cluster::connect(&place.options(Some("mine"))).await);
    assert!(matches!(error, ClusterError::Kubeconfig { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_cluster_that_is_not_local_must_be_allowed_by_name() {
    let place = Place::new("production").await;
    let text = place.listening.kubeconfig("production").replace("127.0.0.1", "203.0.113.7");
    std::fs::write(place.path(), text).unwrap();
    let mut options = place.options(Some("production"));
    options.allowed.clear();
    let error = failed(Cluster::connect(&options).await);
    assert!(matches!(error, ClusterError::NotAllowed { .. }), "{error}");
    assert!(error.fix().unwrap().contains("production"));
    options.allowed = vec!["another".to_owned()];
    assert!(matches!(failed(Cluster::connect(&options).await), ClusterError::NotAllowed { .. }));
    assert!(place.server.seen().is_empty(), "it was not even asked");
}

#[test]
fn what_is_local_is_known_by_address_and_by_tool() {
    let of = |context: &str, server: &str, extension: &str| {
        let text = format!(
            "clusters:\n- name: c\n  cluster:\n    server: {server}\n{extension}contexts:\n- name: {context}\n  context: {{cluster: c}}\n"
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        std::fs::write(&path, text).unwrap();
        Snapshot::read(Some(&path), Some(context), &|_| None).unwrap().locality()
    };
    let minikube = "    extensions:\n    - name: cluster_info\n      extension: {provider: minikube.sigs.k8s.io}\n";
    assert_eq!(of("any", "https://127.0.0.1:6443", ""), Locality::Local);
    assert_eq!(of("any", "https://[::1]:6443", ""), Locality::Local);
    assert_eq!(of("any", "https://localhost:6443", ""), Locality::Local);
    assert_eq!(of("minikube", "https://192.168.49.2:8443", ""), Locality::Local);
    assert_eq!(of("my-profile", "https://192.168.49.2:8443", minikube), Locality::Local);
    assert_eq!(of("kind-a", "https://172.18.0.2:6443", ""), Locality::Local);
    assert_eq!(of("docker-desktop", "https://kubernetes.docker.internal:6443", ""), Locality::Local);
    assert_eq!(of("office", "https://192.168.49.2:8443", ""), Locality::Remote);
    assert_eq!(of("minikube", "https://203.0.113.7:8443", ""), Locality::Remote);
    assert_eq!(of("kind-of", "https://example.com", ""), Locality::Remote);
    assert_eq!(of("any", "https://127.0.0.1.example.com", ""), Locality::Remote);
    // k3d writes the address at which it listens.
    assert_eq!(of("k3d-a", "https://0.0.0.0:6443", ""), Locality::Local);
    assert_eq!(of("any", "https://0.0.0.0:6443", ""), Locality::Remote);
    assert_eq!(of("any", "https://[::ffff:127.0.0.1]:6443", ""), Locality::Local);
    assert_eq!(of("any", "https://LOCALHOST:6443", ""), Locality::Local);
    // What is at the other end of a tunnel is not here, nor what `kubectl proxy` leads to.
    assert_eq!(of("any", "http://127.0.0.1:8001", ""), Locality::Remote);
    assert_eq!(of("any", "localhost:8080", ""), Locality::Remote);
    assert_eq!(of("minikube", "http://127.0.0.1:8001", minikube), Locality::Remote);
    assert_eq!(of("kind-a", "http://[::1]:8001", ""), Locality::Remote);
    assert_eq!(of("any", "https://127.0.0.1:6443", "    tls-server-name: prod.example.com\n"), Locality::Remote);
    assert_eq!(of("kind-a", "https://127.0.0.1:6443", "    tls-server-name: prod.example.com\n"), Locality::Remote);
    assert_eq!(of("any", "https://127.0.0.1:6443", "    tls-server-name: kubernetes\n"), Locality::Local);
    assert_eq!(of("any", "https://127.0.0.1:6443", "    insecure-skip-tls-verify: true\n"), Locality::Remote);
    assert_eq!(of("any", "https://127.0.0.1:6443", "    proxy-url: socks5://127.0.0.1:1080\n"), Locality::Remote);
    assert_eq!(of("minikube", "https://192.168.49.2:8443", "    proxy-url: http://proxy:3128\n"), Locality::Remote);
}

#[tokio::test]
async fn nothing_is_written_to_another_cluster_at_the_same_address() {
    let place = Place::new("mine").await;
    let cluster = Cluster::connect(&place.options(Some("mine"))).await.unwrap();
    run(&cluster, &[config("a", "1")]).await.unwrap();
    place.server.remove("Namespace", None, "kube-system");
    place.server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}));
    let before = place.server.seen().len();
    let error = run(&cluster, &[config("a", "2")]).await.unwrap_err();
    let crate::apply::ApplyError::Cluster(ClusterError::Changed { was, is }) = &error else { panic!("{error}") };
    assert!(was.uid != is.uid && error.to_string().contains(was.uid.as_ref().unwrap()), "{error}");
    assert!(place.server.seen()[before..].iter().all(|seen| !seen.writes()));
}

#[tokio::test]
async fn nothing_is_written_once_the_kubeconfig_means_another() {
    let place = Place::new("mine").await;
    let cluster = Cluster::connect(&place.options(Some("mine"))).await.unwrap();
    // Another current context is no matter of ours, nor is a token that was renewed.
    let text = std::fs::read_to_string(place.path()).unwrap();
    let renewed = text.replace("current-context: mine", "current-context: x").replace("user: {}", "user: {token: new}");
    std::fs::write(place.path(), renewed).unwrap();
    run(&cluster, &[config("a", "1")]).await.unwrap();
    let other = ApiServer::new().listen().await;
    std::fs::write(place.path(), other.kubeconfig("mine")).unwrap();
    let error = run(&cluster, &[config("a", "2")]).await.unwrap_err();
    assert!(error.to_string().contains(&other.url) && error.to_string().contains(&place.listening.url), "{error}");
    std::fs::write(place.path(), other.kubeconfig("theirs")).unwrap();
    let gone = cluster.recheck().await.unwrap_err();
    assert!(matches!(&gone, ClusterError::ContextChanged { is, .. } if is == "gone"), "{gone}");
}

#[tokio::test]
async fn every_write_is_preceded_by_a_look_at_who_it_is() {
    let server = ApiServer::new();
    let cluster = Cluster::of_client(server.client("cards"), "cards", Owner::new("cardctl")).await.unwrap();
    run(&cluster, &[config("a", "1"), config("b", "1")]).await.unwrap();
    let seen = server.seen();
    let writes = seen.iter().filter(|seen| seen.writes()).count();
    let looks = seen.iter().filter(|seen| seen.path.ends_with("/kube-system")).count();
    assert_eq!((writes, looks), (4, 1 + 4), "the namespace, the inventory, and two");
}

#[tokio::test]
async fn unreachable_slow_unauthorised_and_forbidden_are_told_apart() {
    let place = Place::new("mine").await;
    let options = place.options(Some("mine"));
    place.server.fail(0, Fault::Slow(Duration::from_secs(5)));
    assert!(matches!(failed(Cluster::connect(&options).await), ClusterError::Timeout { .. }));
    place.server.fail(0, Fault::status(401, "Unauthorized", "Unauthorized"));
    let error = failed(Cluster::connect(&options).await);
    assert!(matches!(error, ClusterError::Unauthorised { .. }) && !error.again_helps(), "{error}");
    place.server.fail(0, Fault::Lost);
    let error = failed(Cluster::connect(&options).await);
    assert!(matches!(error, ClusterError::Unreachable { .. }) && error.again_helps(), "{error}");
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    std::fs::write(
        place.path(),
        place.listening.kubeconfig("mine").replace(&place.listening.url, &format!("http://{free}")),
    )
    .unwrap();
    let error = failed(Cluster::connect(&options).await);
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn who_may_not_see_the_system_namespace_is_known_by_the_address() {
    let server = ApiServer::new();
    let rights =
        "namespaces \"kube-system\" is forbidden: User \"u\" cannot get resource \"namespaces\" in API group \"\"";
    server.fail(0, Fault::status(403, "Forbidden", rights));
    let cluster = Cluster::of_client(server.client("cards"), "cards", Owner::new("cardctl")).await.unwrap();
    assert_eq!(cluster.identity().uid, None);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_failure_of_tls_and_the_provider_is_installed_twice_safely() {
    install_tls();
    install_tls();
    let place = Place::new("mine").await;
    let text = place.listening.kubeconfig("mine").replace("http://", "https://");
    std::fs::write(place.path(), text).unwrap();
    let error = failed(Cluster::connect(&place.options(Some("mine"))).await);
    assert!(matches!(error, ClusterError::Tls { .. }), "{error:?}");
}
