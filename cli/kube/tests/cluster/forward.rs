//! A port that stays while pods go.

use std::time::Duration;

use card_kube::forward::{Forward, ForwardError, ForwardEvent, ForwardTarget};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::place::{Place, deployment};

const PATIENCE: Duration = Duration::from_secs(60);

async fn served(place: &Place) {
    let mut web = deployment(
        "web",
        json!({"command": ["sh", "-c", "mkdir -p /tmp/w; hostname > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}),
        json!({}),
    );
    web["spec"]["replicas"] = json!(1);
    place.apply(web).await;
    place
        .apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
            "selector": {"app.kubernetes.io/name": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}))
        .await;
}

async fn get(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn event(forward: &mut Forward) -> ForwardEvent {
    timeout(PATIENCE, forward.event()).await.expect("an event in time").expect("it runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_port_outlives_the_only_pod() {
    let Some(place) = Place::new("forward", json!({})).await else { return };
    served(&place).await;
    let service = ForwardTarget::Service("web".to_owned());
    let mut forward = Forward::start(place.client.clone(), &place.namespace, service.clone(), 80, None).await.unwrap();
    let address = forward.address();

    // The pod is not up yet: the first connection waits for it.
    let answer = timeout(PATIENCE, get(address)).await.unwrap().unwrap();
    assert!(answer.contains("200 OK") && answer.contains("web-"), "{answer}");
    let first = loop {
        match event(&mut forward).await {
            ForwardEvent::To { pod } => break pod,
            ForwardEvent::Waiting { gone: None } => {}
            other => panic!("{other}"),
        }
    };

    let taken = Forward::start(place.client.clone(), &place.namespace, service.clone(), 80, Some(address.port())).await;
    assert!(matches!(taken, Err(ForwardError::Busy(port)) if port == address.port()));
    let wrong = Forward::start(place.client.clone(), &place.namespace, service, 81, None).await;
    assert!(matches!(wrong, Err(ForwardError::Target(said)) if said.contains("has no port 81, but 80")));

    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    pods.delete(&first, &DeleteParams::default()).await.unwrap();
    assert_eq!(event(&mut forward).await, ForwardEvent::Waiting { gone: Some(first.clone()) });
    let answer = timeout(PATIENCE, get(address)).await.unwrap().unwrap();
    assert!(answer.contains("200 OK") && !answer.contains(&first), "{answer}");
    let ForwardEvent::Back { pod } = event(&mut forward).await else { panic!("it is not back") };
    assert!(answer.contains(&pod), "{answer}");
    assert_eq!(
        pods.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .count(),
        1
    );

    timeout(Duration::from_secs(5), forward.stop()).await.expect("it stops");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    place.remove().await;
}
