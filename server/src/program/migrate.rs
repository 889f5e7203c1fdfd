//! `card-server migrate`: the schema of the cluster's ledger, and nothing else.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use card_core::engine::EngineError;
use card_core::engine::cluster::{self, Migrated};
use card_core::process::{Environment, Exit, NotReady, Stop, settings};
use card_core::telemetry::logs;
use card_core::time::{format_duration, parse_duration};
use clap::Args;
use tokio::time::{Instant, sleep, sleep_until};

/// Upgrade the schema of the Postgres ledger
///
/// Every server and worker does the same when it starts; run it to upgrade in advance. Only one of several concurrent
/// migrations does the work.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MigrateArguments {
    /// Retry for this long while Postgres is unreachable; errors such as a wrong password end it at once [default: 0]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Give the ledger a new identity, if the database is a copy of another platform's; stop everything that uses it first
    #[arg(long)]
    new_identity: bool,
    /// Settings file (TOML) [default: none]
    #[arg(long, value_name = "FILE", env = "CARDCTL_CONFIG")]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  card-server migrate               upgrade CARDCTL_DATABASE_FILE or CARDCTL_DATABASE
  card-server migrate --wait 2m     wait for Postgres to start
  card-server migrate --new-identity  adopt a copy of another platform's database";

/// Between two attempts: short enough that nobody waits for it, long enough to be no load.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(arguments: MigrateArguments) -> Result<Exit, NotReady> {
    let environment = Environment::of_process();
    let settings = settings(arguments.config.as_deref())?;
    let component = environment.component();
    logs::install_as(&settings.log, Some(component.as_deref().unwrap_or("migrate")))
        .map_err(|error| NotReady::new(error.to_string()))?;
    let database = environment.database()?;
    // The first process of a container is sent signals that it does not listen to in vain.
    let stop = Stop::listen(false).map_err(|error| NotReady::new(format!("signals can't be listened to: {error}")))?;
    let migrated = tokio::select! {
        migrated = patiently(arguments.wait.unwrap_or_default(), || migrate(&database, arguments.new_identity)) => migrated?,
        () = stop.asked() => return Err(NotReady::new("stopped before the schema was upgraded; run it again")),
    };
    let identity = if arguments.new_identity { "; the ledger has a new identity" } else { "" };
    // Who reads it may be gone (`| head`): what was done is done.
    let _ = writeln!(std::io::stdout(), "{}{identity}", summary(migrated));
    Ok(Exit::Done)
}

async fn migrate(database: &str, new_identity: bool) -> Result<Migrated, EngineError> {
    if new_identity { cluster::migrate_copy(database).await } else { cluster::migrate(database).await }
}

/// Tries until it works, fails for good, or the time is up. An attempt that is under way then is not cut off.
async fn patiently<T>(wait: Duration, mut attempt: impl AsyncFnMut() -> Result<T, EngineError>) -> Result<T, NotReady> {
    let until = Instant::now().checked_add(wait);
    let mut said = false;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let late = until.is_some_and(|until| Instant::now() >= until);
        if wait.is_zero() || !error.is_retryable() {
            return Err(error.into());
        }
        if late {
            return Err(NotReady::new(format!("{}; tried for {}", error.shared(), format_duration(wait))));
        }
        if !said {
            tracing::info!(error = %error.shared(), wait = format_duration(wait), "waiting for Postgres");
            said = true;
        }
        match until {
            Some(until) => sleep_until(until.min(Instant::now() + PAUSE)).await,
            None => sleep(PAUSE).await,
        }
    }
}

fn summary(Migrated { from, to }: Migrated) -> String {
    if from == to { format!("schema {to}: up to date") } else { format!("schema {from} → {to}") }
}

#[cfg(test)]
mod tests {
    use card_core::engine::ErrorKind;

    use super::*;

    fn error(kind: ErrorKind) -> EngineError {
        EngineError::new(kind, "Postgres can't be reached").caused_by(std::io::Error::other("refused"))
    }

    /// Fails `times` times, then works; says how often it was tried.
    async fn tried(wait: Duration, times: usize, kind: ErrorKind) -> (Result<(), String>, usize) {
        let mut attempts = 0;
        let ended = patiently(wait, async || {
            attempts += 1;
            if attempts > times { Ok(()) } else { Err(error(kind)) }
        });
        let ended = ended.await.map_err(|error| error.to_string());
        (ended, attempts)
    }

    #[test]
    fn a_migration_says_from_where_to_where() {
        assert_eq!(summary(Migrated { from: 0, to: 2 }), "schema 0 → 2");
        assert_eq!(summary(Migrated { from: 2, to: 2 }), "schema 2: up to date");
    }

    #[tokio::test(start_paused = true)]
    async fn a_postgres_that_comes_late_is_waited_for() {
        assert_eq!(tried(Duration::from_secs(120), 30, ErrorKind::Unavailable).await, (Ok(()), 31));
        assert_eq!(tried(Duration::MAX, 3, ErrorKind::Unknown).await, (Ok(()), 4), "for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_postgres_that_never_comes_is_named_with_the_time_that_it_was_given() {
        let begun = Instant::now();
        let (ended, attempts) = tried(Duration::from_millis(2_500), 99, ErrorKind::Unavailable).await;
        assert_eq!(ended.unwrap_err(), "Postgres can't be reached: refused; tried for 2500ms");
        assert_eq!((attempts, begun.elapsed()), (4, Duration::from_millis(2_500)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_wait_and_for_what_waiting_does_not_change_it_tries_once() {
        assert_eq!(tried(Duration::ZERO, 1, ErrorKind::Unavailable).await.1, 1);
        for kind in [ErrorKind::Broken, ErrorKind::Invalid, ErrorKind::Internal] {
            let (ended, attempts) = tried(Duration::from_secs(120), 1, kind).await;
            assert_eq!((ended.unwrap_err().as_str(), attempts), ("Postgres can't be reached: refused", 1));
        }
    }
}
