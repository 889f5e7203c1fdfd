use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::replay::Replay;
use super::*;
use crate::testing::ApiServer;

fn pod(name: &str, ready: bool, going: bool) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n", "labels": {"app": "server"}},
        "spec": {"containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": null}]}});
    if going {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    pod
}

fn server() -> ApiServer {
    let server = ApiServer::new();
    server.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server", "namespace": "n"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": "http"}]}}));
    server
}

fn service() -> ForwardTarget {
    ForwardTarget::Service("server".to_owned())
}

async fn event(forward: &mut Forward) -> ForwardEvent {
    timeout(Duration::from_secs(10), forward.event()).await.expect("in time").expect("it runs")
}

#[tokio::test]
async fn what_happens_to_the_pods_is_told() {
    let server = server();
    let mut forward = Forward::start(server.client("n"), "n", service(), 80, None).await.unwrap();
    assert_eq!(event(&mut forward).await.to_string(), "no pod is ready, waiting");
    server.put(pod("one", false, false));
    server.put(pod("two", true, false));
    assert_eq!(event(&mut forward).await.to_string(), "forwarding to pod two");
    server.put(pod("three", true, false));
    server.remove("Pod", Some("n"), "two");
    assert_eq!(event(&mut forward).await.to_string(), "back on pod three");
    server.put(pod("three", false, false));
    assert_eq!(event(&mut forward).await.to_string(), "pod three no longer exists, waiting");
    server.put(pod("three", true, false));
    assert_eq!(event(&mut forward).await.to_string(), "back on pod three");
    forward.stop().await;
}

#[tokio::test]
async fn a_local_port_that_is_taken_is_an_early_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Forward::start(server().client("n"), "n", service(), 80, Some(port)).await.unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_an_early_error() {
    let server = server();
    let start = |target, port| Forward::start(server.client("n"), "n", target, port, None);
    let error = start(ForwardTarget::Service("nothing".to_owned()), 80).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service nothing in namespace n");
    let error = start(service(), 8080).await.unwrap_err();
    assert_eq!(error.to_string(), "service server has no port 8080, but 80");
    server.stop_after(0);
    let error = start(service(), 80).await.unwrap_err();
    assert!(matches!(error, ForwardError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn it_stops_with_connections_that_wait_and_the_port_is_free_again() {
    let server = server();
    let forward = Forward::start(server.client("n"), "n", service(), 80, None).await.unwrap();
    let address = forward.address();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(b"GET /").await.unwrap();
    timeout(Duration::from_secs(5), forward.stop()).await.expect("it stops");
    assert!(closed(&mut waiting).await);
    TcpListener::bind(address).await.expect("the port is free");
}

#[tokio::test]
async fn a_dropped_forward_ends_as_well() {
    let server = server();
    let forward = Forward::start(server.client("n"), "n", service(), 80, None).await.unwrap();
    let address = forward.address();
    drop(forward);
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(address).await.is_ok() {
        assert!(tokio::time::Instant::now() < until, "it still listens");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn closed(connection: &mut TcpStream) -> bool {
    matches!(timeout(Duration::from_secs(5), connection.read(&mut [0; 8])).await, Ok(Ok(0) | Err(_)))
}

async fn pair() -> (TcpStream, Replay) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    (client, Replay::new(listener.accept().await.unwrap().0))
}

#[tokio::test]
async fn a_request_is_sent_again_as_long_as_nothing_was_answered() {
    let (mut client, mut replay) = pair().await;
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut first = [0; 18];
    replay.read_exact(&mut first).await.unwrap();
    assert!(replay.can_rewind());
    replay.rewind();
    let mut second = [0; 18];
    replay.read_exact(&mut second).await.unwrap();
    assert_eq!(first, second);
    // The pod that failed closes its side; the client does not notice.
    replay.shutdown().await.unwrap();
    replay.write_all(b"HTTP/1.0 200 OK\r\n").await.unwrap();
    assert!(!replay.can_rewind());
    let mut answer = [0; 17];
    client.read_exact(&mut answer).await.unwrap();
    replay.shutdown().await.unwrap();
    assert!(closed(&mut client).await);
}

#[tokio::test]
async fn what_is_too_large_to_keep_is_not_sent_again() {
    let (mut client, mut replay) = pair().await;
    let sending = tokio::spawn(async move {
        client.write_all(&vec![7; 600 * 1024]).await.unwrap();
        client
    });
    let mut read = vec![0; 600 * 1024];
    replay.read_exact(&mut read).await.unwrap();
    assert!(!replay.can_rewind() && read.iter().all(|byte| *byte == 7));
    sending.await.unwrap();
}
