//! `card-server migrate`: the schema of the cluster's ledger, and nothing else.

use std::io::Write;
use std::path::PathBuf;

use card_core::engine::cluster::{self, Migrated};
use card_core::process::{Environment, Exit, NotReady, settings};
use card_core::telemetry::logs;
use clap::Args;

/// Brings the schema of the cluster's ledger up to date, once among all that try, and says what it did.
///
/// Every server and worker does so as well when it starts. This is for those who want it done before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MigrateArguments {
    /// A file of settings (TOML).
    #[arg(long, value_name = "FILE", env = "CARD_CONFIG")]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  card-server migrate    with CARD_DATABASE_URL_FILE or CARD_DATABASE_URL";

pub(super) async fn run(arguments: MigrateArguments) -> Result<Exit, NotReady> {
    let environment = Environment::of_process();
    let settings = settings(arguments.config.as_deref())?;
    let component = environment.component();
    logs::install_as(&settings.log, Some(component.as_deref().unwrap_or("migrate")))
        .map_err(|error| NotReady::new(error.to_string()))?;
    let migrated = cluster::migrate(&environment.database()?).await?;
    // Who reads it may be gone (`| head`): what was done is done.
    let _ = writeln!(std::io::stdout(), "{}", summary(migrated));
    Ok(Exit::Done)
}

fn summary(Migrated { from, to }: Migrated) -> String {
    if from == to { format!("schema {to}: up to date") } else { format!("schema {from} → {to}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_says_from_where_to_where() {
        assert_eq!(summary(Migrated { from: 0, to: 2 }), "schema 0 → 2");
        assert_eq!(summary(Migrated { from: 2, to: 2 }), "schema 2: up to date");
    }
}
