//! Where the platform is reached: at its ingress, at a port of a node, or through a port that is forwarded as long as
//! somebody wants it.

use std::time::Duration;

use card_kube::cluster::Cluster;
use card_kube::forward::{Forward, ForwardError, ForwardTarget};
use card_loadtests::client::{Client, Token};
use card_manifests::Values;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, ListParams};

use crate::context::{Context, Endpoint};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::instance::port;
use crate::kubernetes::{Kind, SERVER_PORT, SERVER_SERVICE, forwarding};

/// An address that does not answer in this time is none for this machine.
const LOOK: Duration = Duration::from_secs(2);

/// The cluster's own address for the API, if this machine can use it.
pub(super) async fn find(cluster: &Cluster, values: &Values, _context: &Context) -> Result<Option<String>, Failure> {
    if let Some(ingress) = &values.ingress {
        let scheme = if ingress.tls { "https" } else { "http" };
        let url = format!("{scheme}://{}", ingress.host);
        if answers(&url).await {
            return Ok(Some(url));
        }
    }
    for url in node_ports(cluster).await {
        if answers(&url).await {
            return Ok(Some(url));
        }
    }
    Ok(None)
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
    let Ok(client) = reqwest::Client::builder().timeout(LOOK).build() else { return false };
    client.get(format!("{url}/health")).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// How many workers say that they are there; they were asked a moment ago.
pub(super) async fn workers(endpoint: &Endpoint) -> usize {
    let token = endpoint.operator_token.as_ref().map(|token| Token::new(token.expose()));
    let Ok(client) = Client::new(&endpoint.base_url, token) else { return 0 };
    client.stats().await.map_or(0, |stats| stats.workers.len())
}

/// Forwards a port of this machine: the one that was asked for, or a free one.
pub(super) async fn forward(port: Option<u16>, cluster: &Cluster, context: &Context) -> Result<Forward, Failure> {
    let wanted = port.unwrap_or(context.settings.settings.server.port);
    let target = ForwardTarget::Service(SERVER_SERVICE.to_owned());
    let start = |port| Forward::start(cluster.client().clone(), cluster.namespace(), target.clone(), SERVER_PORT, port);
    let started = match start((wanted != 0).then_some(wanted)).await {
        // Nobody asked for that very port.
        Err(ForwardError::Busy(busy)) if port.is_none() => {
            let holder = port::holder(busy).map(|holder| format!(" ({holder})")).unwrap_or_default();
            context.printer.say(format!("port {busy} is in use{holder}: taking another one"));
            start(None).await
        }
        started => started,
    };
    started.map_err(|error| forwarding(&error))
}

/// Until Ctrl-C; says when it leads elsewhere.
pub(super) async fn stay(mut forward: Forward, kind: Kind, context: &Context) -> Result<Exit, Failure> {
    let printer = &context.printer;
    let (program, kind) = (context.program(), kind.name());
    printer.say(format!("forwarding http://{} until Ctrl-C; the platform runs on", forward.address()));
    loop {
        tokio::select! {
            event = forward.event() => match event {
                Some(event) => printer.say(event.to_string()),
                None => return Err(Failure::new("forward", Exit::Unknown, "the forwarded port ended by itself")
                    .fix(format!("{program} up -t {kind}"))),
            },
            () = context.stop.cancelled() => {
                forward.stop().await;
                printer.say(format!("the platform runs on; {program} up -t {kind} forwards it again, {program} down stops it"));
                return Ok(context.interrupted());
            }
        }
    }
}
