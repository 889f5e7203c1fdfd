//! A port of this machine that leads to a pod of a service, as long as there is one.
//!
//! The local port stays whatever happens in the cluster. Each connection goes to a pod that is ready and not going away;
//! when there is none it waits up to [`PATIENCE`], and so does one whose pod refuses before it has answered a byte. A
//! connection that was answered dies with its pod. Every change is told as an event. This is for people and probes, not
//! for load: all of it goes through the API server.

mod carry;
mod choice;
mod events;
mod replay;
mod target;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::choice::Choice;
pub use self::events::ForwardEvent;
pub use self::target::ForwardTarget;

/// So long a connection waits for a pod.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Open connections have this long when it stops.
const DRAIN: Duration = Duration::from_secs(2);
/// Events that nobody reads are not kept beyond this.
const EVENTS: usize = 64;

/// Why nothing is forwarded.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Trying again will not help until the other one ends.
    #[error("port {0} of this machine is in use; choose another one, or end what listens there")]
    Busy(u16),
    /// The port can't be had for another reason.
    #[error("port {port} of this machine can't be listened on: {source}")]
    Local {
        /// Which; 0 is any.
        port: u16,
        source: std::io::Error,
    },
    /// There is no such service, or it has no pods to lead to.
    #[error("{0}")]
    Target(String),
    /// Trying again may help.
    #[error("the cluster does not answer: {}", crate::cluster::reason(&**.0))]
    Unreachable(#[source] Box<kube::Error>),
}

/// A port that is forwarded; it ends when this is dropped.
#[derive(Debug)]
pub struct Forward {
    local: SocketAddr,
    events: mpsc::Receiver<ForwardEvent>,
    cancel: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Forward {
    /// Listens on loopback, on `local_port` or any free one. That there is no pod yet is no error: connections wait.
    ///
    /// # Errors
    /// The local port is taken, the service or its port does not exist, or the cluster does not answer.
    pub async fn start(
        client: Client,
        namespace: &str,
        target: ForwardTarget,
        remote_port: u16,
        local_port: Option<u16>,
    ) -> Result<Self, ForwardError> {
        let port = local_port.unwrap_or(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => ForwardError::Busy(port),
            _ => ForwardError::Local { port, source },
        })?;
        let local = listener.local_addr().map_err(|source| ForwardError::Local { port, source })?;
        let route = target::resolve(&client, namespace, &target, remote_port).await?;
        let (told, events) = mpsc::channel(EVENTS);
        let cancel = CancellationToken::new();
        let choice = Arc::new(Choice::new(client, namespace, route, told));
        let serving = tokio::spawn(serve(listener, choice, cancel.clone()));
        Ok(Self { local, events, cancel, serving: Some(serving) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.local
    }

    /// The next thing that is different. None when it has stopped.
    pub async fn event(&mut self) -> Option<ForwardEvent> {
        self.events.recv().await
    }

    /// Stops listening, and ends open connections within two seconds.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        if let Some(serving) = self.serving.take() {
            // A panic in it has been told by the runtime already.
            let _ = serving.await;
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, choice: Arc<Choice>, cancel: CancellationToken) {
    let mut connections = JoinSet::new();
    let watching = choice.clone();
    let mut watch = std::pin::pin!(async move { watching.watch().await });
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            () = &mut watch => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) => {
                    connections.spawn(carry::carry(connection, choice.clone()));
                }
                // Out of descriptors: others end, and then there is room.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN, drained).await.is_err() {
        connections.shutdown().await;
    }
}
