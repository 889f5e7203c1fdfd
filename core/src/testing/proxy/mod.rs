//! A TCP proxy that makes a network as bad as a test wants it.

mod connection;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::connection::Connection;
use super::ports;
use super::waiting::{eventually, lock};

const LISTEN: Duration = Duration::from_secs(30);

/// Passes bytes on between its own port and a server, until it is told otherwise. Ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    listening: watch::Receiver<bool>,
    /// With a runtime of its own: it works beside tests that have none, and while theirs is busy.
    thread: Option<JoinHandle<()>>,
}

/// What all connections have to do.
#[derive(Clone, Default)]
struct Orders {
    /// Where new connections lead.
    upstream: Option<SocketAddr>,
    refuse: bool,
    stall: bool,
    /// How often all of them were cut.
    cuts: u64,
    fate: Option<Arc<Fate>>,
    stop: bool,
}

/// How long connections live that are cut at random.
struct Fate {
    random: Mutex<StdRng>,
    mean: Duration,
}

impl Fate {
    /// Exponentially distributed: a connection's age says nothing about how long it has left. And whether it ends with a
    /// reset or an orderly close.
    fn draw(&self) -> (Duration, bool) {
        let mut random = lock(&self.random);
        let part: f64 = random.random();
        (self.mean.mul_f64(-(1.0 - part).ln()), random.random())
    }
}

impl Proxy {
    /// Starts one in front of a server, which need not be there yet.
    ///
    /// # Panics
    /// No port can be listened on.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        let address = ports::loopback(ports::free());
        let (orders, given) = watch::channel(Orders { upstream: Some(upstream), ..Orders::default() });
        let (listens, listening) = watch::channel(false);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("descriptors for a runtime").block_on(serve(address, given, &listens));
        });
        let proxy = Self { address, orders, listening, thread: Some(thread) };
        proxy.wait_until_listening(true);
        proxy
    }

    /// Where it listens: what clients are given instead of the server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets all connections of this moment, wherever in a message they are.
    pub fn cut_all(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// From now on each connection lives for a random time, with this mean, and is then reset or closed. The same seed
    /// gives the same times in the order of connecting.
    pub fn cut_at_random(&self, seed: u64, mean_lifetime: Duration) {
        let fate = Fate { random: Mutex::new(StdRng::seed_from_u64(seed)), mean: mean_lifetime };
        self.orders.send_modify(|orders| orders.fate = Some(Arc::new(fate)));
    }

    /// Cuts no more at random.
    pub fn let_live(&self) {
        self.orders.send_modify(|orders| orders.fate = None);
    }

    /// Whether new connections are refused, as by a port that nobody listens on. Those that are open stay.
    ///
    /// # Panics
    /// The port was taken meanwhile.
    pub fn refuse(&self, refuse: bool) {
        self.orders.send_modify(|orders| orders.refuse = refuse);
        self.wait_until_listening(!refuse);
    }

    /// Whether nothing gets through: connections stay open, and silent. What was sent meanwhile arrives afterwards.
    pub fn stall(&self, stall: bool) {
        self.orders.send_modify(|orders| orders.stall = stall);
    }

    /// Leads new connections to another server, as a changed name does. Those that are open stay where they are.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.orders.send_modify(|orders| orders.upstream = Some(upstream));
    }

    fn wait_until_listening(&self, wanted: bool) {
        let what = if wanted { "the proxy listens" } else { "the proxy listens no more" };
        eventually(what, LISTEN, || (*self.listening.borrow() == wanted).then_some(()));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.orders.send_modify(|orders| orders.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens while it may. Connections are tasks of the runtime, and end with it.
async fn serve(address: SocketAddr, mut orders: watch::Receiver<Orders>, listens: &watch::Sender<bool>) {
    let mut listener = None;
    loop {
        let now = orders.borrow_and_update().clone();
        if now.stop {
            return;
        }
        if now.refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        listens.send_replace(listener.is_some());
        tokio::select! {
            accepted = accept(listener.as_ref()) => {
                if let (Some(client), Some(upstream)) = (accepted, now.upstream) {
                    let connection = Connection::new(orders.clone());
                    tokio::spawn(connection.run(client, upstream));
                }
            }
            _ = orders.changed() => {}
        }
    }
}

/// The next connection. Without a listener that should be one, `None` after a moment, to try again.
async fn accept(listener: Option<&TcpListener>) -> Option<tokio::net::TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => {
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}
