//! One connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::PATIENCE;
use super::choice::Choice;
use super::events::ForwardEvent;
use super::replay::Replay;

const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];
/// A node that is dead does not answer; the API server waits longer for it than we do.
const CONNECT: Duration = Duration::from_secs(5);
/// After the pod has closed its side, the client has this long to read what is on its way.
const LINGER: Duration = Duration::from_secs(30);

/// For what has come and was not passed on yet.
const MOMENT: Duration = Duration::from_millis(250);

enum Carried {
    /// It is over, as connections are.
    Done,
    /// Nothing was answered, so another pod can be tried.
    Again(String),
}

pub(super) async fn carry(connection: TcpStream, choice: Arc<Choice>) {
    // Small requests must not wait for each other.
    let _ = connection.set_nodelay(true);
    let mut connection = Replay::new(connection);
    let until = Instant::now() + PATIENCE;
    let mut why = "no pod is ready".to_owned();
    for attempt in 0.. {
        let Some((pod, port)) = choice.pod(until).await else { break };
        match through(&mut connection, &choice, &pod, port).await {
            Carried::Done => return,
            Carried::Again(message) => {
                why = format!("pod {pod}: {message}");
                choice.avoid(&pod);
            }
        }
        if Instant::now() >= until {
            break;
        }
        sleep(PAUSES[attempt.min(PAUSES.len() - 1)]).await;
    }
    choice.tell(ForwardEvent::Refused { message: format!("{why}, for {} s", PATIENCE.as_secs()) });
}

/// What kubelet says when nothing listens in the pod, or the pod is no longer there.
fn never_arrived(message: &str) -> bool {
    ["refused", "failed to connect", "not running", "not found", "unable to do port forwarding"]
        .iter()
        .any(|words| message.contains(words))
}

async fn through(connection: &mut Replay, choice: &Choice, pod: &str, port: u16) -> Carried {
    let mut forwarder = match timeout(CONNECT, choice.pods.portforward(pod, &[port])).await {
        Ok(Ok(forwarder)) => forwarder,
        Ok(Err(error)) => return Carried::Again(crate::cluster::reason(&error)),
        Err(_) => return Carried::Again(format!("no answer within {} s", CONNECT.as_secs())),
    };
    let (Some(mut stream), Some(refused)) = (forwarder.take_stream(port), forwarder.take_error(port)) else {
        return Carried::Again("the API server opened no stream".to_owned());
    };
    connection.rewind();
    let answered = connection.answered();
    let ended = {
        let mut refused = std::pin::pin!(refused);
        let mut copying = std::pin::pin!(copy_bidirectional(connection, &mut stream));
        tokio::select! {
            _ = &mut copying => Ok(()),
            message = &mut refused => match message {
                Some(message) => Err(message),
                // The connection to the pod is over; what it has sent may still be on its way to the client.
                None => match timeout(MOMENT, &mut copying).await {
                    Err(_) if answered.load(Ordering::Relaxed) => {
                        let _ = timeout(LINGER, copying).await;
                        Ok(())
                    }
                    _ => Ok(()),
                },
            },
        }
    };
    drop(stream);
    forwarder.abort();
    match ended {
        // Only what surely did not arrive is sent again: a request that was carried out twice is worse than one that fails.
        Err(message) if connection.can_rewind() && never_arrived(&message) => Carried::Again(message),
        _ => {
            let _ = connection.finish().shutdown().await;
            Carried::Done
        }
    }
}
