//! The program `card-worker`: from its command line to its exit code. `cardctl` runs it as well, for the target
//! `processes`.

mod begin;
mod work;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

pub use self::begin::{Begun, ProcessFlags, explain};

/// Run a worker: take tasks from Postgres and Redis and process them
///
/// Needs CARDCTL_DATABASE and CARDCTL_REDIS (or, better, CARDCTL_DATABASE_FILE and CARDCTL_REDIS_FILE), and the address of
/// the card issuer in CARDCTL_WORKER_ISSUER_URL. Settings come from CARDCTL_… variables and the file of --config.
#[derive(Debug, Parser)]
#[command(name = "card-worker", version = card_core::VERSION, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    /// Address for GET /health, /ready and /metrics; port 0 for any free port
    #[arg(long, value_name = "ADDRESS", env = "CARDCTL_HEALTH_ADDRESS", default_value = "127.0.0.1:0")]
    health_address: SocketAddr,
    /// Kinds of tasks to process, separated by commas [default: worker.kinds, all of them]
    #[arg(long, value_name = "KINDS", env = "CARDCTL_WORKER_KINDS")]
    kinds: Option<String>,
    #[command(flatten)]
    process: ProcessFlags,
}

const EXAMPLES: &str = "\
Examples:
  card-worker                                  run a worker, with health checks on any free port
  card-worker --health-address 0.0.0.0:7600    listen on every interface, for a container's probes
  card-worker --kinds purchase,add             process these kinds and leave the others to other workers
  card-worker --announce                       print its address when it is ready

SIGTERM or SIGINT stops taking tasks, finishes running steps (server.drain-timeout) and exits with 0; a second signal \
exits at once.
Exit codes: 0 stopped, 1 a component failed, 2 usage, 3 environment not ready.";

/// Its command line, for who looks at its help.
#[must_use]
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the program. The first argument is its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    card_core::process::without_empty_variables();
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => card_core::process::run(work::run(arguments)),
        Err(error) => explain(&error),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent_and_its_examples_are_command_lines() {
        Arguments::command().debug_assert();
        let examples: Vec<_> = EXAMPLES.lines().filter_map(|line| line.strip_prefix("  card-worker")).collect();
        assert_eq!(examples.len(), 4);
        for example in examples {
            let words = example.trim_start().split("  ").next().unwrap_or_default().split_whitespace();
            let words = words.take_while(|word| word.starts_with("--") || word.contains([':', ',']));
            Arguments::try_parse_from(std::iter::once("card-worker").chain(words)).unwrap();
        }
    }
}
