//! A real platform in this process, and a wire to it that can be stalled and cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{Store, sqlite};
use card_core::settings::Settings;
use card_server::Secrets;
use card_server::platform::{Platform, PlatformOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use card_client::{Client, Token};

const OPERATOR: &str = "op_0123456789abcdef0123456789abcdef";

pub(super) struct TestPlatform {
    platform: Platform,
    pub(super) store: Store,
    _dir: tempfile::TempDir,
}

impl TestPlatform {
    pub(super) async fn start() -> Self {
        Self::with(1).await
    }

    pub(super) async fn with(workers: usize) -> Self {
        let mut settings = Settings::default();
        settings.issuer.latency_p50 = Duration::from_millis(1);
        settings.issuer.latency_p99 = Duration::from_millis(2);
        let dir = tempfile::tempdir().unwrap();
        let store =
            sqlite::open(&dir.path().join("cards.db"), &settings.ledger, &card_kinds::Registry::default().known())
                .await
                .unwrap();
        let platform = Platform::start(PlatformOptions {
            kinds: card_kinds::Registry::default(),
            store: store.clone(),
            settings,
            secrets: Secrets { signing_key: vec![7; 32], operator_token: OPERATOR.to_owned() },
            listener: std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap(),
            fronts: Vec::new(),
            issuer_listener: None,
            workers,
            host: "test".to_owned(),
        })
        .await
        .unwrap();
        Self { platform, store, _dir: dir }
    }

    pub(super) fn client(&self) -> Client {
        client(self.platform.address())
    }

    pub(super) async fn wire(&self) -> Wire {
        Wire::to(self.platform.address()).await
    }
}

pub(super) fn client(address: SocketAddr) -> Client {
    Client::new(&format!("http://{address}"), Some(Token::new(OPERATOR))).unwrap()
}

/// What a wire does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Carries it.
    Carries,
    /// Keeps it until it carries again: a platform that stands still.
    Stalls,
    /// Drops every connection: a platform that is gone.
    Cut,
}

/// A way to the platform.
pub(super) struct Wire {
    address: SocketAddr,
    mood: Arc<watch::Sender<Mood>>,
}

impl Wire {
    async fn to(platform: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mood = Arc::new(watch::Sender::new(Mood::Carries));
        let sender = Arc::clone(&mood);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mood = sender.subscribe();
                tokio::spawn(async move {
                    if *mood.borrow() == Mood::Cut {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(platform).await else { return };
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    tokio::select! {
                        () = carry(near_in, far_out, mood.clone()) => {}
                        () = carry(far_in, near_out, mood.clone()) => {}
                    }
                });
            }
        });
        Self { address, mood }
    }

    pub(super) fn client(&self) -> Client {
        client(self.address)
    }

    pub(super) fn becomes(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut mood: watch::Receiver<Mood>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = mood.wait_for(|mood| *mood == Mood::Cut) => return,
        };
        let Ok(read @ 1..) = read else { return };
        let Ok(mood) = mood.wait_for(|mood| *mood != Mood::Stalls).await.map(|mood| *mood) else { return };
        if mood == Mood::Cut || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
