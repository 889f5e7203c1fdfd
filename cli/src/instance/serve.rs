//! The serving process, in the foreground or detached: from the lock to the last byte on disk.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use card_core::engine::sqlite;
use card_core::time::Instant;
use card_server::platform::{Platform, PlatformOptions, StartError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Lock, Paths, Phase, Plan, Process, Record, clear_stale, port, secrets, state};
use crate::exit::Exit;
use crate::failure::Failure;

/// Beyond the drain, for what can't be cut off: the last commit.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A platform that this process serves. Dropping it is like a crash.
pub struct Serving {
    // Fields are dropped in this order: the lock goes last.
    platform: Platform,
    record: Record,
    paths: Paths,
    drain: Duration,
    temporary: Option<tempfile::TempDir>,
    _lock: Lock,
}

impl Serving {
    /// Starts serving; when it returns, the API answers. None if another process serves this instance.
    ///
    /// # Errors
    /// What stands in the way. Nothing is left behind then.
    pub async fn begin(plan: &Plan, detached: bool) -> Result<Option<Self>, Failure> {
        let paths = &plan.paths;
        paths.create().map_err(|error| state::directory(paths, &error))?;
        let Some(lock) = Lock::take(paths).map_err(|error| state::directory(paths, &error))? else {
            return Ok(None);
        };
        prepare_process();
        // What the record names is gone: whoever it was had the lock.
        clear_stale(paths).map_err(|error| state::directory(paths, &error))?;
        let server = &plan.settings.server;
        let listener = port::bind(server.address, server.port, plan.port_is_given())?;
        let temporary = plan.ephemeral.then(temporary_directory).transpose()?;
        let data = temporary.as_ref().map_or_else(|| paths.dir.clone(), |dir| dir.path().to_owned());
        let mut record = record(plan, &listener, data, detached)?;
        record.store(paths).map_err(|error| state::directory(paths, &error))?;
        let platform = match start(plan, &record, listener).await {
            Ok(platform) => platform,
            Err(failure) => {
                let _ = Record::remove(paths);
                return Err(failure);
            }
        };
        record.phase = Phase::Serving;
        record.issuer_url = platform.issuer_address().map(|address| format!("http://{address}"));
        record.store(paths).map_err(|error| state::directory(paths, &error))?;
        Ok(Some(Self { platform, record, paths: paths.clone(), drain: server.drain_timeout, temporary, _lock: lock }))
    }

    /// What `instance.json` says.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Serves until it is asked to stop. The name of a part that ended by itself, if one did. Cancel safe.
    pub async fn until(&mut self, stop: &CancellationToken) -> Option<&'static str> {
        tokio::select! {
            () = stop.cancelled() => None,
            part = self.platform.failed() => Some(part),
        }
    }

    /// Finishes what is in flight and puts everything on disk. Whether all of it was finished in time.
    pub async fn end(mut self) -> bool {
        self.record.phase = Phase::Stopping;
        // Only tells others; the stop does not depend on it.
        let _ = self.record.store(&self.paths);
        let limit = self.drain + CLOSE_LIMIT;
        let drained = tokio::time::timeout(limit, self.platform.stop()).await.is_ok_and(|stopped| stopped.drained);
        let _ = Record::remove(&self.paths);
        drop(self.temporary.take());
        drained
    }
}

async fn start(plan: &Plan, record: &Record, listener: TcpListener) -> Result<Platform, Failure> {
    let data = &record.data_dir;
    let secrets = secrets::load_or_make(data)?;
    let store = sqlite::open(&Paths::ledger(data), &plan.settings.ledger)
        .await
        .map_err(|error| state::ledger(data, &plan.paths, &error))?;
    let engine = std::sync::Arc::clone(&store.engine);
    let options = PlatformOptions {
        store,
        settings: plan.settings.clone(),
        secrets,
        listener,
        issuer_listener: None,
        workers: plan.workers(),
        host: hostname(),
    };
    match Platform::start(options).await {
        Ok(platform) => Ok(platform),
        Err(error) => {
            engine.close().await;
            let code = if matches!(error, StartError::Settings(_)) { "settings" } else { "start" };
            Err(Failure::new(code, Exit::NotReady, format!("the platform can't start: {error}"))
                .fix("cardctl config show names where each setting comes from")
                .left("nothing was started; the data is as it was"))
        }
    }
}

fn record(plan: &Plan, listener: &TcpListener, data: PathBuf, detached: bool) -> Result<Record, Failure> {
    let mut address = listener.local_addr().map_err(Failure::internal)?;
    if address.ip().is_unspecified() {
        // Listening everywhere is not a place to go to.
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    Ok(Record {
        process: Process::current(),
        phase: Phase::Starting,
        detached,
        url: format!("http://{address}"),
        issuer_url: None,
        engine: "sqlite".to_owned(),
        workers: plan.workers(),
        data_dir: data,
        ephemeral: plan.ephemeral,
        version: card_core::VERSION.to_owned(),
        started_at: Instant::now(),
        settings: plan.recorded.clone(),
    })
}

fn temporary_directory() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new().prefix("cardctl-").tempdir().map_err(|error| {
        Failure::new("state-directory", Exit::NotReady, format!("a temporary directory can't be made: {error}"))
            .fix("let TMPDIR name a directory that you may write")
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

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
