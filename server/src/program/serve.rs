//! `card-server serve`: the API, with or without workers in the same process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use card_core::process::{Exit, NotReady, Part, listen};
use card_core::settings;
use card_kinds::Registry;
use card_worker::program::ProcessFlags;
use clap::Args;

use super::store::StoreChoice;
use crate::Secrets;
use crate::platform::{Platform, PlatformOptions};

/// Serve the API (the default command)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArguments {
    /// SQLite file of the ledger, created if missing; not with Postgres [default: cards.db]
    #[arg(long, value_name = "FILE", env = "CARDCTL_LEDGER")]
    ledger: Option<PathBuf>,
    /// Number of workers in this process; 0 for the API alone [default: 1 with SQLite, 0 with Postgres]
    #[arg(long, value_name = "N", env = "CARDCTL_WORKERS")]
    pub(super) workers: Option<usize>,
    /// Share the port with other servers that set this flag; the kernel distributes connections
    #[arg(long)]
    reuse_port: bool,
    #[command(flatten)]
    process: ProcessFlags,
}

const EXAMPLES: &str = "\
Examples:
  card-server serve --ledger cards.db    run everything in one process
  card-server serve --reuse-port         run one of several servers on one port";

pub(super) async fn run(arguments: ServeArguments) -> Result<Exit, NotReady> {
    let begun = arguments.process.begin(Part::Server)?;
    let (settings, environment) = (&begun.settings, &begun.environment);
    let choice = StoreChoice::of(arguments.ledger, environment.cluster()?)?;
    let secrets = Secrets {
        signing_key: environment.required("CARDCTL_SIGNING_KEY")?.into_bytes(),
        operator_token: environment.required("CARDCTL_OPERATOR_TOKEN")?,
    };
    secrets.check().map_err(|error| NotReady::new(error.to_string()))?;
    let address = SocketAddr::new(settings.server.address, settings.server.port);
    let listener = listen(address, arguments.reuse_port).map_err(|error| {
        NotReady::new(format!("{address}: {error}; set CARDCTL_SERVER_ADDRESS and CARDCTL_SERVER_PORT to others"))
    })?;
    let mut fronts = Vec::new();
    for (front, port) in settings.fronts.served() {
        let address = SocketAddr::new(settings.server.address, port);
        let listener = listen(address, arguments.reuse_port).map_err(|error| {
            NotReady::new(format!("{address}: {error}; set {} to another", settings::variable(front.setting())))
        })?;
        fronts.push((front, listener));
    }
    let kinds = Registry::default();
    let store = tokio::select! {
        // Nothing was begun that could be finished.
        () = begun.stop.asked() => return Ok(Exit::Done),
        opened = choice.open(settings, &kinds) => opened?,
    };
    let engine = Arc::clone(&store.engine);
    let options = PlatformOptions {
        kinds,
        store,
        settings: settings.clone(),
        secrets,
        listener,
        fronts,
        issuer_listener: None,
        workers: arguments.workers.unwrap_or_else(|| choice.workers()),
        host: environment.host(),
    };
    let mut platform = match Platform::start(options).await {
        Ok(platform) => platform,
        Err(error) => {
            engine.close().await;
            return Err(NotReady::new(error.to_string()));
        }
    };
    begun.ready(platform.address());
    let failed = tokio::select! {
        () = begun.stop.asked() => None,
        part = platform.failed() => Some(part),
    };
    if let Some(part) = failed {
        tracing::error!(part, "a component exited unexpectedly");
    }
    tracing::info!("stopping");
    let stopped = platform.stop().await;
    tracing::info!(drained = stopped.drained, "stopped");
    Ok(if failed.is_some() { Exit::Internal } else { Exit::Done })
}
