//! The target `processes`: server, workers and issuer as children of one process that owns nothing else.
//!
//! ```text
//!   supervisor ── holds the ports (bound, not listening), the instance's lock, the control socket
//!     ├─ issuer     unless worker.issuer.url names another
//!     ├─ server-1 … all listen on the API's port and the fronts' (SO_REUSEPORT)
//!     └─ worker-1 …
//! ```
//!
//! Children are this program again (`card-server`, `card-worker`). Each is tied by its stdin: when the supervisor is gone,
//! however it went, they stop. Each says once that it is ready. One that dies is started again; none of them is
//! missed, because what was accepted is in the ledger.

pub mod autoscale;
mod backoff;
mod child;
pub mod control;
mod fleet;
mod keeper;
mod orders;
mod roster;
mod start;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio_util::task::AbortOnDropHandle;

use self::fleet::Fleet;
pub use self::roster::{Child, Condition};
pub use self::start::StartOptions;

/// What the supervisor is called in the log, beside its children.
pub const NAME: &str = "supervisor";
/// Workers on one machine, at most.
pub const WORKERS_MAX: usize = 64;
/// Servers on one machine, at most.
pub const SERVERS_MAX: usize = 16;
/// Beyond its own drain, what a child gets to end: its last commit, its last answer.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Children that are looked after. Dropping it kills them.
pub struct Supervisor {
    fleet: Arc<Fleet>,
    autoscaler: Option<AbortOnDropHandle<()>>,
    control: AbortOnDropHandle<()>,
    publishing: AbortOnDropHandle<()>,
    _port: TcpSocket,
    _fronts: Vec<TcpSocket>,
}

impl Supervisor {
    /// Where the simulated issuer listens; none if an outside one is used.
    #[must_use]
    pub fn issuer_url(&self) -> Option<String> {
        self.fleet.issuer_url()
    }

    /// Stops the children in order. Whether all ended by themselves.
    pub async fn stop(self) -> bool {
        let Self { fleet, autoscaler, control, publishing, _port, _fronts } = self;
        // Nobody adds children any more.
        drop((autoscaler, control));
        let drained = fleet.end_all().await;
        drop(publishing);
        drained
    }
}

/// How long [`Supervisor::stop`] may take.
#[must_use]
pub fn stop_limit(drain: Duration) -> Duration {
    (drain + CLOSE_LIMIT) * 3
}
