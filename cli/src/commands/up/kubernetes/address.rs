//! The way to the platform that `up` leaves open: a port that is forwarded as long as somebody wants it.

use card_kube::cluster::Cluster;
use card_kube::forward::{Forward, ForwardError, ForwardTarget};

use crate::client;
use crate::context::{Context, Endpoint};
use crate::failure::Failure;
use crate::instance::port;
use crate::kubernetes::{Kind, SERVER_PORT, SERVER_SERVICE, forwarding};
use card_core::exit::Exit;

/// How many workers say that they are there; they were asked a moment ago.
pub(super) async fn workers(endpoint: &Endpoint) -> usize {
    let Ok(client) = client::client(endpoint) else { return 0 };
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
            context.printer.say(format!("port {busy} is in use{holder}; using another one"));
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
    printer.say(format!("forwarding http://{} until Ctrl-C; the platform keeps running", forward.address()));
    loop {
        tokio::select! {
            event = forward.event() => match event {
                Some(event) => printer.say(event.to_string()),
                None => return Err(Failure::new("forward", Exit::Unknown, "port forwarding ended unexpectedly")
                    .fix(format!("{program} up -t {kind}"))),
            },
            () = context.stop.cancelled() => {
                forward.stop().await;
                printer.say(format!("the platform keeps running; {program} up -t {kind} forwards it again, {program} down stops it"));
                return Ok(context.interrupted());
            }
        }
    }
}
