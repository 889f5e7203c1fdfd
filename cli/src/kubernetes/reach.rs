//! The way to the API of a platform in a cluster.

use card_http::PlainHttp;
use card_kube::cluster::Cluster;
use card_kube::forward::{Forward, ForwardError, ForwardTarget};

use super::{Deployment, Kind, connect, operator_token};
use crate::context::NOT_RUNNING;
use crate::context::{Context, Endpoint};
use crate::failure::Failure;
use crate::secret::Secret;
use card_core::exit::Exit;

/// The service in front of the servers.
pub const SERVER_SERVICE: &str = "server";
/// Its port.
pub const SERVER_PORT: u16 = 7400;
const ISSUER_SERVICE: &str = "issuer";
const ISSUER_PORT: u16 = 7500;

/// A platform in a cluster, and what leads to its API as long as this is kept.
pub struct Reached {
    pub cluster: Cluster,
    /// Where the API is from here.
    pub endpoint: Endpoint,
    _forwards: Vec<Forward>,
}

/// Opens the way: a port of this machine that is forwarded as long as the command runs.
///
/// # Errors
/// The cluster can't be reached, or nothing is deployed there.
pub async fn reach(kind: Kind, context: &Context) -> Result<Reached, Failure> {
    let (cluster, token) = deployed(kind, context).await?;
    let forward = |service: &str, port| {
        let target = ForwardTarget::Service(service.to_owned());
        Forward::start(cluster.client().clone(), cluster.namespace(), target, port, None)
    };
    let (server, issuer) = tokio::join!(forward(SERVER_SERVICE, SERVER_PORT), forward(ISSUER_SERVICE, ISSUER_PORT));
    let server = match server {
        Err(ForwardError::Target(_)) => return Err(nothing_runs(kind, &cluster, context)),
        server => server.map_err(|error| forwarding(&error))?,
    };
    // Without it only what has to do with the issuer's behaviour is out of reach.
    let issuer = issuer.ok();
    let url = |forward: &Forward| format!("http://{}", forward.address());
    let endpoint = Endpoint {
        base_url: url(&server),
        operator_token: Some(token),
        // Forwarded by this process, from this machine.
        plain_http: PlainHttp::nowhere(),
        issuer_url: issuer.as_ref().map(url),
        target: kind.name().to_owned(),
    };
    Ok(Reached { cluster, endpoint, _forwards: std::iter::once(server).chain(issuer).collect() })
}

/// The cluster where the instance is deployed, and its operator's token.
///
/// # Errors
/// The cluster can't be reached, or nothing is deployed there.
pub async fn deployed(kind: Kind, context: &Context) -> Result<(Cluster, Secret), Failure> {
    let cluster = connect(kind, context).await?;
    match operator_token(&cluster).await? {
        Some(token) => Ok((cluster, token)),
        None => Err(nothing_runs(kind, &cluster, context)),
    }
}

/// Nothing is deployed where it was looked for.
fn nothing_runs(kind: Kind, cluster: &Cluster, context: &Context) -> Failure {
    let name = &context.instance.name;
    let failure = Failure::new(NOT_RUNNING, Exit::Unknown, format!("no platform is deployed as instance {name:?}"))
        .evidence(format!("looked in context {}, namespace {}", cluster.context().unwrap_or("-"), cluster.namespace()));
    let failure = match Deployment::load(&context.instance) {
        Some(deployment) => failure.evidence(format!("it was deployed at {}", deployment.deployed_at)),
        None => failure,
    };
    failure.fix(format!("{} up -d -t {}", context.program(), kind.name()))
}

/// Nothing can be forwarded.
#[must_use]
pub fn forwarding(error: &ForwardError) -> Failure {
    let (exit, fix) = match error {
        ForwardError::Busy(_) => (Exit::NotReady, "use another one: --port N"),
        ForwardError::Local { .. } => (Exit::NotReady, "use another one: --port N"),
        ForwardError::Target(_) => (Exit::Unknown, "cardctl status; cardctl up starts it again"),
        ForwardError::Unreachable(_) => (Exit::Unknown, "kubectl cluster-info"),
    };
    Failure::new("forward", exit, error.to_string()).fix(fix)
}
