//! The serving process, in the foreground or detached: from the lock to the last byte on disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use card_core::time::Instant;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::parts::{Parts, Ports};
use super::{Lock, Phase, Plan, Process, Published, Record, clear_stale, end_orphans, state, temporary};
use crate::cluster::Remembered;
use crate::failure::Failure;
use card_core::exit::Exit;

/// What a killed supervisor left gets so long to stop by itself: it has noticed already.
const ORPHANS_LIMIT: Duration = Duration::from_secs(5);

/// A platform that this process serves. Dropping it is like a crash.
pub struct Serving {
    // Fields are dropped in this order: the lock goes last.
    parts: Parts,
    published: Arc<Published>,
    drain: Duration,
    temporary: Option<tempfile::TempDir>,
    _lock: Lock,
}

impl Serving {
    /// Starts serving; when it returns, the API answers. None if another process serves this instance. Given up half-way it
    /// leaves no process behind.
    ///
    /// # Errors
    /// What stands in the way. Nothing is left behind then.
    pub async fn begin(plan: &Plan, detached: bool) -> Result<Option<Self>, Failure> {
        let paths = &plan.paths;
        let unusable = |error| state::directory(paths, &error);
        paths.create().map_err(unusable)?;
        let Some(lock) = Lock::take(paths).map_err(unusable)? else {
            return Ok(None);
        };
        prepare_process();
        // What the record names is gone: whoever it was had the lock.
        end_orphans(paths, ORPHANS_LIMIT).await;
        if let Some(left) = clear_stale(paths).map_err(unusable)? {
            tracing::warn!(path = %left.display(), "instance.json names a directory that cardctl did not create; it is kept");
        }
        let ports = Ports::take(plan)?;
        let temporary = plan.ephemeral.then(temporary_directory).transpose()?;
        let data = temporary.as_ref().map_or_else(|| paths.dir.clone(), |dir| dir.path().to_owned());
        let record = record(plan, ports.address().map_err(Failure::internal)?, data, detached);
        let published = Published::new(paths, record).map_err(unusable)?;
        let parts = match Parts::start(plan, ports, &published).await {
            Ok(parts) => parts,
            Err(failure) => {
                let _ = published.withdraw();
                return Err(failure);
            }
        };
        let serving = |record: &mut Record| {
            record.phase = Phase::Serving;
            // Now there is a key.
            record.addresses =
                plan.cluster.as_ref().and_then(|cluster| Remembered::fingerprint(&cluster.address, &record.data_dir));
            record.issuer_url = parts.issuer_url();
        };
        published.change(serving).map_err(unusable)?;
        let drain = plan.settings.server.drain_timeout;
        Ok(Some(Self { parts, published, drain, temporary, _lock: lock }))
    }

    /// What `instance.json` says.
    #[must_use]
    pub fn record(&self) -> Record {
        self.published.record()
    }

    /// Serves until it is asked to stop. The name of a part that ended by itself, if one did. Cancel safe.
    pub async fn until(&mut self, stop: &CancellationToken) -> Option<&'static str> {
        tokio::select! {
            () = stop.cancelled() => None,
            part = self.parts.failed() => Some(part),
        }
    }

    /// Finishes what is in flight and puts everything on disk. Whether all of it was finished in time.
    pub async fn end(mut self) -> bool {
        // Only tells others; the stop does not depend on it.
        let _ = self.published.change(|record| record.phase = Phase::Stopping);
        let drained = self.parts.stop(self.drain).await;
        let _ = self.published.withdraw();
        drop(self.temporary.take());
        drained
    }
}

fn record(plan: &Plan, mut address: SocketAddr, data: PathBuf, detached: bool) -> Record {
    if address.ip().is_unspecified() {
        // Listening everywhere is not a place to go to.
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let cluster = plan.cluster.as_ref();
    Record {
        process: Process::current(),
        phase: Phase::Starting,
        detached,
        url: format!("http://{address}"),
        issuer_url: None,
        target: plan.target(),
        engine: if cluster.is_some() { "cluster" } else { "sqlite" }.to_owned(),
        workers: plan.workers(),
        servers: plan.servers(),
        autoscale: cluster.and_then(|cluster| cluster.autoscale),
        cluster: cluster.map(|cluster| Remembered::of(&cluster.address)),
        addresses: None,
        children: Vec::new(),
        data_dir: data,
        ephemeral: plan.ephemeral,
        version: card_core::VERSION.to_owned(),
        started_at: Instant::now(),
        settings: plan.recorded.clone(),
    }
}

fn temporary_directory() -> Result<tempfile::TempDir, Failure> {
    temporary("cardctl-").map_err(|error| {
        Failure::new("state-directory", Exit::NotReady, format!("a temporary directory can't be created: {error}"))
            .fix("set TMPDIR to a directory that only you can write to")
            .left("nothing was started")
    })
}

/// What a server needs of its process.
fn prepare_process() {
    // A file-size limit must become an error of one write, not the death of the process: any handler does that.
    if let Ok(mut too_large) = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)) {
        tokio::spawn(async move { while too_large.recv().await.is_some() {} });
    }
    // Each connection is a file. The soft limit of many systems is 1024, for the sake of select(2), which we don't use.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
