//! Accepts connections and answers the requests on them until told to stop. Every port of every process is served here,
//! so that all hold the same: what a client may do, how long it may take, and that it gets an answer whatever it sends.
//!
//! ```text
//!  listener ──► room: is there a place? ──► stream: a head, checked ──► HTTP library ──► the answers of the port
//!                  closes who rests            too slow, too large, unreadable: an answer, and the end
//! ```

mod framing;
mod head;
mod room;
mod stream;
mod unreadable;
mod watch;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, header};
use bytes::Bytes;
use card_core::settings::Networks;
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::room::{Place, Room};
pub use self::room::{Standing, affordable, raise_open_files};
use self::stream::{ClientStream, OVERLOADED};
pub use self::unreadable::{Unreadable, UnreadableKind};
use self::watch::{AnswerBody, Watch};
use crate::shares::{Holder, Shares};

/// What a port answers.
pub trait Answer: Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static;

    /// The answer to a request.
    fn answer(&self, client: Client, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The answer to what is no request; the last one of its connection.
    fn refuse(&self, unreadable: &Unreadable) -> Response<Bytes>;
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub address: SocketAddr,
    /// What its connection may be used for.
    pub standing: Standing,
}

/// How long a client may take. Whoever takes longer is cut off, and holds no more than a socket until then.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head; also from the connection to its first head.
    pub head: Duration,
    /// From the end of an answer to the next request.
    pub idle: Duration,
    /// Without reading anything of what it is sent.
    pub stalled: Duration,
    /// How long a stop waits for what is being answered.
    pub drain: Duration,
}

/// The bounds of a port.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take.
    pub timeouts: Timeouts,
    /// Connections at once.
    pub connections: usize,
    /// Bytes of requests that have not arrived in whole, of all connections together.
    pub unfinished: usize,
    /// Whose connections carry the requests of many clients: no one address among them has a share.
    pub proxies: Networks,
}

impl Limits {
    fn holder(&self, address: IpAddr) -> Holder {
        if self.proxies.contain(address) { Holder::Proxies } else { Holder::address(address) }
    }
}

/// More than any head, and than what is read at once.
const BUFFER: usize = 32 * 1024;
/// Pause when no connection can be accepted, for instance because all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then takes no new connection and finishes what is being answered; what is not finished within the
/// drain timeout is cut off. Says whether all was finished.
pub async fn serve<A: Answer>(listener: TcpListener, answers: Arc<A>, limits: Limits, stop: CancellationToken) -> bool {
    let mut http = http1::Builder::new();
    // Heads that take too long are the stream's affair. Each answer is sent when it is there, and not together with the
    // next (`pipeline_flush`): with that, an answer waits for a request that may never be complete, and is lost with it.
    http.header_read_timeout(None).max_buf_size(BUFFER).writev(false);
    let graceful = GracefulShutdown::new();
    let (room, unfinished) = (Room::new(limits.connections), Shares::new(limits.unfinished));
    let mut connections = JoinSet::new();
    loop {
        let (tcp, address) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
            // Keeps the set from growing with what has ended.
            Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let watch = Watch::new();
        let holder = limits.holder(address.ip());
        let Some(place) = room.enter(holder, &watch) else { continue };
        let stream = ClientStream::new(
            tcp,
            Arc::clone(&watch),
            Arc::clone(&answers),
            limits.timeouts,
            Arc::clone(&unfinished),
            holder,
        );
        let connection = Connection { stream, watch, answers: Arc::clone(&answers), address, place };
        connections.spawn(connection.run(http.clone(), graceful.watcher(), stop.clone()));
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.timeouts.drain, graceful.shutdown()).await.is_ok();
    connections.shutdown().await;
    drained
}

async fn accept(listener: &TcpListener, room: &Room) -> (TcpStream, SocketAddr) {
    let mut failed = false;
    loop {
        room.settle().await;
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are small; waiting to fill a packet only delays them. Failing to say so is no reason to stop.
                let _ = stream.set_nodelay(true);
                return (stream, address);
            }
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(%error, "connections can't be accepted");
                }
                // Out of file descriptors: connections at rest have some. Without a pause this would spin.
                room.shrink();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Connection<A> {
    stream: ClientStream<A>,
    watch: Arc<Watch>,
    answers: Arc<A>,
    address: SocketAddr,
    place: Place,
}

impl<A: Answer> Connection<A> {
    /// From the first byte to the last.
    async fn run(self, http: http1::Builder, watcher: Watcher, stop: CancellationToken) {
        let Self { mut stream, watch, answers, address, place } = self;
        // Until there is a request, a connection costs no more than its socket and what has come.
        let begun = tokio::select! {
            biased;
            begun = stream.has_request() => begun,
            () = stop.cancelled() => return,
        };
        if !begun {
            stream.close().await;
            // The file goes before its place.
            drop(stream);
            return drop(place);
        }
        let client = Client { address, standing: place.standing };
        let service = service_fn(move |request: Request<Incoming>| {
            let (answers, watch) = (Arc::clone(&answers), Arc::clone(&watch));
            let answering = watch.answering();
            async move {
                let uri = request.uri().clone();
                let mut response = answers.answer(client, request).await.map(Either::Left);
                if watch.is_overloaded() {
                    // The handler only knows that the body broke off.
                    let (kind, path) = (UnreadableKind::Overloaded, uri.path().to_owned());
                    let refused = answers.refuse(&Unreadable { kind, detail: OVERLOADED, path });
                    response = refused.map(|body| Either::Right(Full::new(body)));
                }
                if client.standing != Standing::Regular || watch.is_unfinished() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| AnswerBody::new(body, answering)))
            }
        });
        // In a box: before its first request, a connection is smaller.
        let connection = Box::pin(watcher.watch(http.serve_connection(stream, service)));
        // A connection that breaks is the client's affair; its request, if any, has been dealt with.
        let _ = connection.await;
        drop(place);
    }
}
