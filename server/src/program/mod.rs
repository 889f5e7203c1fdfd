//! The program `card-server`: from its command line to its exit code. `cardctl` runs it as well, for the target
//! `processes`.

mod issuer;
mod migrate;
mod serve;
mod store;

use std::ffi::OsString;
use std::process::ExitCode;

use card_core::process;
use card_worker::program::explain;
use clap::{Parser, Subcommand};

/// Serve the card replacement platform
///
/// Without Postgres and Redis it keeps its ledger in a SQLite file and runs the workers and the simulated issuer itself.
/// With CARDCTL_DATABASE and CARDCTL_REDIS (or, better, CARDCTL_DATABASE_FILE and CARDCTL_REDIS_FILE) it is one of any number
/// of servers and workers. It needs CARDCTL_SIGNING_KEY and CARDCTL_OPERATOR_TOKEN (or, better, CARDCTL_SIGNING_KEY_FILE and
/// CARDCTL_OPERATOR_TOKEN_FILE). Settings come from CARDCTL_… variables and the file of --config.
#[derive(Debug, Parser)]
#[command(
    name = "card-server",
    version = card_core::VERSION,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArguments),
    Migrate(migrate::MigrateArguments),
    Issuer(issuer::IssuerArguments),
}

const EXAMPLES: &str = "\
Examples:
  card-server --ledger /var/lib/cards/cards.db   run everything in one process
  card-server --workers 0                        run the API alone
  card-server --reuse-port                       run one of several servers on one port
  card-server migrate                            upgrade the schema of the Postgres ledger
  card-server issuer --address 127.0.0.1:7500    run the simulated card issuer alone

SIGTERM or SIGINT stops accepting work, finishes requests and tasks in flight (server.drain-timeout) and exits with 0; a \
second signal exits at once.
Exit codes: 0 stopped, 1 a component failed, 2 usage, 3 environment not ready.";

/// Its command line, for who looks at its help.
#[must_use]
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the program. The first argument is its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    process::without_empty_variables();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(arguments) => process::run(serve::run(arguments)),
        Command::Migrate(arguments) => process::run(migrate::run(arguments)),
        Command::Issuer(arguments) => process::run(issuer::run(arguments)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_example_is_a_command_line() {
        let mut command = Arguments::command();
        command.build();
        let mut texts = vec![EXAMPLES.to_owned()];
        texts.extend(command.get_subcommands().map(|inner| inner.get_after_help().unwrap().to_string()));
        let mut examples = 0;
        for line in texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("  card-server")) {
            let words = line.trim_start().split("  ").next().unwrap_or_default().split_whitespace();
            Arguments::try_parse_from(std::iter::once("card-server").chain(words))
                .unwrap_or_else(|error| panic!("{line}: {error}"));
            examples += 1;
        }
        assert!(examples >= 8, "{examples}");
    }

    #[test]
    fn serving_is_what_it_does_unless_told_otherwise() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap();
        assert!(parse("card-server --workers 3").command.is_none());
        assert_eq!(parse("card-server --workers 3").serve.workers, Some(3));
        assert!(
            matches!(parse("card-server serve --workers 3").command, Some(Command::Serve(serve)) if serve.workers == Some(3))
        );
    }
}
