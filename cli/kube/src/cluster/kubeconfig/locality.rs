//! Whether a cluster is on this machine.
//!
//! An address says where a connection begins, not where it ends: what is told to be known by another name, not to be verified,
//! or to be reached through a proxy or without TLS, is at the other end of something.

use std::net::IpAddr;

use super::model::Cluster;
use crate::cluster::connection::{Proxy, Server};

/// Whether a cluster is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality {
    /// Its API is on loopback, or it is a known tool's for development, at a private address.
    Local,
    /// Anything else.
    Remote,
}

/// None if it is on this machine, else why it is not taken to be.
pub(super) fn why_remote(cluster: &Cluster, server: &Server, proxy: Option<&Proxy>, context: &str) -> Option<String> {
    let host = server.host();
    let address: Option<IpAddr> = host.parse().ok();
    let known = made_by_minikube(cluster) || for_development(context);
    // k3d writes the address at which it listens, all of this machine's.
    let all = address.is_some_and(|address| address.is_unspecified());
    let near = known && (all || address.is_some_and(is_private) || host == "kubernetes.docker.internal");
    if !near && (all || !is_this_machine(host)) {
        return Some(format!("{host} is not this machine"));
    }
    if let Some(proxy) = proxy {
        return Some(format!("it is reached through the proxy {proxy}, to which {host} may be another machine"));
    }
    // No cluster serves its API like that; `kubectl proxy` does, for whichever cluster it was started with.
    if !server.is_tls() {
        return Some(format!("it does not use TLS, so {host} may be a proxy to anywhere, such as kubectl's"));
    }
    let name = cluster.tls_server_name.as_str();
    if !name.is_empty() && !is_name_of_a_local_server(name) {
        return Some(format!("its certificate is to be that of {name}, so {host} is a tunnel to somewhere else"));
    }
    if cluster.insecure_skip_tls_verify && !known {
        return Some(format!("its certificate is not to be verified, so {host} may be a tunnel to anywhere"));
    }
    None
}

/// By whichever of its addresses; whoever connects to the one that stands for all of them reaches it as well.
pub(in crate::cluster) fn is_this_machine(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Names that every cluster has within itself, and those of this machine.
fn is_name_of_a_local_server(name: &str) -> bool {
    let inside = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
    is_this_machine(name)
        || inside.contains(&name)
        || ["minikube", "minikubeCA", "kubernetes.docker.internal"].contains(&name)
}

/// minikube marks what it wrote, whatever the profile is called.
fn made_by_minikube(cluster: &Cluster) -> bool {
    cluster.extensions.iter().any(|named| named.extension["provider"] == "minikube.sigs.k8s.io")
}

fn for_development(context: &str) -> bool {
    let names = ["minikube", "docker-desktop", "rancher-desktop", "orbstack", "colima"];
    let prefixes = ["kind-", "k3d-", "colima-"];
    names.contains(&context) || prefixes.iter().any(|prefix| context.starts_with(prefix))
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}
