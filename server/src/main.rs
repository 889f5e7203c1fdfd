//! `card-server`: the platform as one process. Composes and nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use card_core::engine::sqlite;
use card_core::settings::{Layers, Settings};
use card_core::telemetry::logs;
use card_server::Secrets;
use card_server::platform::{Platform, PlatformOptions};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves the card replacement platform: API, page, workers and simulated issuer on one ledger.
///
/// Settings are CARDCTL_… variables and the file of --config. Secrets are CARD_SIGNING_KEY and CARD_OPERATOR_TOKEN, or
/// better CARD_SIGNING_KEY_FILE and CARD_OPERATOR_TOKEN_FILE.
#[derive(Debug, Parser)]
#[command(version = card_core::VERSION)]
struct Arguments {
    /// A file of settings (TOML).
    #[arg(long, env = "CARD_CONFIG")]
    config: Option<PathBuf>,
    /// The ledger's file; made if it is not there.
    #[arg(long, env = "CARD_LEDGER", default_value = "cards.db")]
    ledger: PathBuf,
    /// Workers in this process; 0 for an API alone.
    #[arg(long, env = "CARD_WORKERS", default_value_t = 1)]
    workers: usize,
}

/// The environment is not ready: see `cardctl help exit-codes`.
const NOT_READY: u8 = 3;
const INTERNAL: u8 = 1;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(message) => {
            // Not through the log: it may not be installed yet. A closed stderr is no reason for another exit code.
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::from(NOT_READY)
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let settings = settings(arguments.config.as_deref())?;
    logs::install(&settings.log).map_err(|error| error.to_string())?;
    let secrets = Secrets {
        signing_key: secret("CARD_SIGNING_KEY")?.into_bytes(),
        operator_token: secret("CARD_OPERATOR_TOKEN")?,
    };
    let address = (settings.server.address, settings.server.port);
    let listener =
        std::net::TcpListener::bind(address).map_err(|error| format!("{}:{}: {error}", address.0, address.1))?;
    let store = sqlite::open(&arguments.ledger, &settings.ledger).await.map_err(|error| error.to_string())?;
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
    let options =
        PlatformOptions { store, settings, secrets, listener, issuer_listener: None, workers: arguments.workers, host };
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut platform = Platform::start(options).await.map_err(|error| error.to_string())?;
    tracing::info!(address = %platform.address(), "serving");
    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        part = platform.failed() => Some(part),
    };
    if let Some(part) = failed {
        tracing::error!(part, "a part of the platform ended by itself");
    }
    let stopped = platform.stop().await;
    tracing::info!(drained = stopped.drained, "stopped");
    Ok(if failed.is_some() { ExitCode::from(INTERNAL) } else { ExitCode::SUCCESS })
}

fn settings(file: Option<&Path>) -> Result<Settings, String> {
    let mut layers = Layers::built_in();
    if let Some(file) = file {
        layers.file(file).map_err(|error| error.to_string())?;
    }
    layers.environment(std::env::vars()).map_err(|error| error.to_string())?;
    Ok(layers.resolve().map_err(|error| error.to_string())?.settings)
}

/// From the file that `NAME_FILE` names, else from `NAME`.
fn secret(name: &str) -> Result<String, String> {
    let file = format!("{name}_FILE");
    if let Ok(path) = std::env::var(&file) {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("${file}: {path}: {error}"))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    std::env::var(name).map_err(|_| format!("set ${file} or ${name}"))
}
