//! Connections: accepted, bounded in number and in the time they take to say what they want, and drained at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Answers, HEADER_LIMIT};
use super::patience::{AnswerBody, Patience, PatientStream, Watch};

/// How connections are kept.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    /// How long a client may take.
    pub(crate) patience: Patience,
    /// How long a stop waits for what is in flight.
    pub(crate) drain_timeout: Duration,
    /// Connections at once; more wait in the listener's queue.
    pub(crate) max_connections: usize,
}

/// Serves until `stop`, then takes no new connection and finishes what is in flight; what is not finished within the
/// drain timeout is cut off. Says whether all was finished.
pub(crate) async fn serve(
    listener: TcpListener,
    answers: Arc<Answers>,
    options: ServeOptions,
    stop: CancellationToken,
) -> bool {
    let mut http = http1::Builder::new();
    // Headers that take too long are the stream's affair: see `patience`.
    http.header_read_timeout(None)
        // Small enough for ten thousand idle streams, large enough for a header that is too large to be told so.
        .max_buf_size(4 * HEADER_LIMIT)
        .pipeline_flush(true);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(options.max_connections));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
            // Keeps the set from growing with what has ended.
            Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let answers = Arc::clone(&answers);
        let watch = Watch::new();
        let stream = PatientStream::new(stream, Arc::clone(&watch), options.patience);
        let service = service_fn(move |request: Request<Incoming>| {
            let (answers, answering) = (Arc::clone(&answers), watch.answering());
            async move {
                let response = answers.answer(peer, request).await;
                Ok::<_, Infallible>(response.map(|body| AnswerBody::new(body, answering)))
            }
        });
        let connection = graceful.watch(http.serve_connection(stream, service));
        connections.spawn(async move {
            // A connection that breaks is the client's affair; its request, if any, has been dealt with.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(options.drain_timeout, graceful.shutdown()).await.is_ok();
    connections.shutdown().await;
    drained
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is a permit in the end.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small; waiting to fill a packet only delays them. Failing to say so is no reason to stop.
                let _ = stream.set_nodelay(true);
                return (stream, peer, permit);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                // Out of file descriptors: without a pause this would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
