//! One connection through the proxy, from its beginning to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Fate, Orders};

pub(super) struct Connection {
    orders: watch::Receiver<Orders>,
    /// How many cuts there were before it: those are not its own.
    cuts: u64,
    fate: Option<Arc<Fate>>,
    /// When it is cut at random, and whether by a reset.
    doom: Option<(Instant, bool)>,
}

/// How it ended.
enum End {
    /// Both sides had nothing more to say, or one of them is gone.
    Quiet,
    /// We close both sides, wherever they are.
    Closed,
    /// We reset both sides.
    Reset,
}

impl Connection {
    pub(super) fn new(orders: watch::Receiver<Orders>) -> Self {
        let cuts = orders.borrow().cuts;
        let mut connection = Self { orders, cuts, fate: None, doom: None };
        connection.meet_fate();
        connection
    }

    pub(super) async fn run(mut self, mut client: TcpStream, upstream: SocketAddr) {
        let Ok(mut server) = TcpStream::connect(upstream).await else {
            // What the client would have been told, as near as an accepted connection can tell it.
            let _ = client.set_zero_linger();
            return;
        };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let end = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let there = pass(from_client, to_server, self.orders.clone());
            let back = pass(from_server, to_client, self.orders.clone());
            let mut flow = pin!(async { tokio::try_join!(there, back) });
            loop {
                let doom = self.doom;
                tokio::select! {
                    _ = &mut flow => break End::Quiet,
                    () = until(doom) => break if doom.is_some_and(|(_, reset)| reset) { End::Reset } else { End::Closed },
                    changed = self.orders.changed() => {
                        if changed.is_err() || self.orders.borrow_and_update().cuts != self.cuts {
                            break End::Reset;
                        }
                        self.meet_fate();
                    }
                }
            }
        };
        if matches!(end, End::Reset) {
            for stream in [&client, &server] {
                let _ = stream.set_zero_linger();
            }
        }
    }

    /// Draws a life time when it has to do with another fate than before.
    fn meet_fate(&mut self) {
        let fate = self.orders.borrow().fate.clone();
        let same = match (&self.fate, &fate) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if !same {
            self.doom = fate.as_ref().map(|fate| {
                let (life, reset) = fate.draw();
                (Instant::now() + life, reset)
            });
            self.fate = fate;
        }
    }
}

async fn until(doom: Option<(Instant, bool)>) {
    match doom {
        Some((at, _)) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Passes one direction on, its end as well.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut orders: watch::Receiver<Orders>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        // An error means that the proxy is gone, and with it this task.
        if orders.wait_for(|orders| !orders.stall).await.is_err() {
            return Ok(());
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
