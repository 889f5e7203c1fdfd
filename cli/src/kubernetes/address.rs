//! Where the platform is reached without a command that forwards: at its ingress, or at a port of a node.

use std::time::Duration;

use card_kube::cluster::Cluster;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, ListParams};
use reqwest::Url;

use super::SERVER_SERVICE;

/// An address that does not answer in this time is none for this machine.
const LOOK: Duration = Duration::from_secs(2);

/// The cluster's own address for the API, if this machine can use it: it is there for as long as the platform is.
/// `ingress` is the host of one, and whether it has TLS.
pub async fn lasting(cluster: &Cluster, ingress: Option<(&str, bool)>) -> Option<String> {
    if let Some((host, tls)) = ingress {
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{host}");
        if answers(&url).await {
            return Some(url);
        }
    }
    for url in node_ports(cluster).await {
        if answers(&url).await {
            return Some(url);
        }
    }
    None
}

/// What can't be read has no address.
async fn node_ports(cluster: &Cluster) -> Vec<String> {
    let services: Api<Service> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    let Ok(service) = services.get(SERVER_SERVICE).await else { return Vec::new() };
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let Some(port) = ports.iter().find_map(|port| port.node_port) else { return Vec::new() };
    let nodes: Api<Node> = Api::all(cluster.client().clone());
    let Ok(nodes) = nodes.list(&ListParams::default().limit(3)).await else { return Vec::new() };
    let addresses = nodes.items.into_iter().filter_map(|node| node.status?.addresses).flatten();
    addresses
        .filter(|address| address.type_ == "InternalIP" || address.type_ == "ExternalIP")
        .map(|address| format!("http://{}:{port}", address.address))
        .collect()
}

async fn answers(url: &str) -> bool {
    let Ok(health) = Url::parse(&format!("{url}/health")) else { return false };
    let Ok(client) = card_http::platform("cardctl", &health).timeout(LOOK).build() else { return false };
    client.get(health).send().await.is_ok_and(|answer| answer.status().is_success())
}
