//! `card-generator`: one of several load generators, as a process of its own. `cardctl loadtest run --runner job` runs it
//! in the pods of a Job; it is a program of its own because an image of the whole command line is three times as large.

use std::io::Write;
use std::process::ExitCode;

use card_client::{Client, ClientError, Token, raise_connection_limit};
use card_core::process::{Environment, Exit, NotReady, Stop, run, without_empty_variables};
use card_http::PlainHttp;
use card_loadtests::generate::{GenerateError, generate};
use card_loadtests::shard::{Assignment, InvalidAssignment};
use clap::Parser;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The operator's token, which makes users and reads the ledger.
const TOKEN: &str = "CARDCTL_OPERATOR_TOKEN";

/// Generate one share of a load, audit it, and write the results to stdout
///
/// Started by `cardctl loadtest run --runner job`, which combines the results. Needs the operator's token in
/// CARDCTL_OPERATOR_TOKEN or, better, in the file that CARDCTL_OPERATOR_TOKEN_FILE names.
#[derive(Debug, Parser)]
#[command(name = "card-generator", version = card_core::VERSION, max_term_width = 100, after_help = NOTES)]
struct Arguments {
    /// URL of the platform, such as http://server:7400
    #[arg(long, value_name = "URL", env = "CARDCTL_TARGET")]
    target: String,
    /// Hosts, separated by commas, that may receive the operator's token over plain HTTP [default: this machine only]
    #[arg(long, value_name = "HOSTS", env = "CARDCTL_PLAIN_HTTP", default_value_t, hide_default_value = true)]
    plain_http: PlainHttp,
    /// Assignment of all generators, as written by `cardctl` of the same version
    #[arg(long, value_name = "JSON", env = "CARDCTL_ASSIGNMENT")]
    assignment: String,
    /// Index of this pod in its indexed Job, from 0
    #[arg(long, value_name = "N", env = "JOB_COMPLETION_INDEX")]
    index: u64,
}

const NOTES: &str = "\
SIGTERM or SIGINT stops the load, waits for accepted tasks, audits them and exits with 0; a second signal exits at once.
Exit codes: 0 results written, whatever the findings; 1 the load failed; 2 usage; 3 environment not ready.";

fn main() -> ExitCode {
    without_empty_variables();
    match Arguments::try_parse() {
        Ok(arguments) => run(load(arguments)),
        Err(error) => {
            // A closed stdout or stderr is no reason for another exit code.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }.into()
        }
    }
}

async fn load(arguments: Arguments) -> Result<Exit, NotReady> {
    let assignment = match Assignment::read(&arguments.assignment) {
        Ok(assignment) => assignment,
        Err(error) => return refused(&error),
    };
    let token = Environment::of_process().required(TOKEN)?;
    // What can't be sent for want of it is in what this leaves behind.
    let _ = raise_connection_limit();
    let client = Client::with(&arguments.target, Some(Token::new(&token)), &arguments.plain_http);
    let client = client.map_err(|error| NotReady::new(format!("--target: {error}{}", what_next(&error))))?;
    let stop = stop()?;
    let number = arguments.index.saturating_add(1);
    match generate(client, assignment, number, &stop, &mut std::io::stdout()).await {
        Ok(()) => Ok(Exit::Done),
        Err(GenerateError::Assignment(error)) => refused(&error),
        Err(error) => {
            say(&error.to_string());
            Ok(Exit::Internal)
        }
    }
}

/// What helps against an address that can't be used, where that is known.
fn what_next(error: &ClientError) -> String {
    match error {
        ClientError::PlainHttp { host } => {
            format!("; use https://, or, if you trust the network to it, CARDCTL_PLAIN_HTTP={host}")
        }
        _ => String::new(),
    }
}

/// Cancelled when the process is asked to stop.
fn stop() -> Result<CancellationToken, NotReady> {
    let heard = Stop::listen(false).map_err(|error| NotReady::new(format!("signals can't be listened to: {error}")))?;
    let stop = CancellationToken::new();
    let tell = stop.clone();
    tokio::spawn(async move {
        heard.asked().await;
        tell.cancel();
    });
    Ok(stop)
}

fn refused(error: &InvalidAssignment) -> Result<Exit, NotReady> {
    match error {
        InvalidAssignment::Version(_) => {
            Err(NotReady::new(format!("{error}; use an image and a cardctl of the same version")))
        }
        _ => {
            say(&format!("{error}; use `cardctl loadtest run --runner job`: it starts the generators"));
            Ok(Exit::Usage)
        }
    }
}

fn say(error: &str) {
    // Masked like every reason for which a process ends.
    let _ = writeln!(std::io::stderr(), "error: {}", card_core::telemetry::mask::mask(error));
}

#[cfg(test)]
mod tests {
    use card_core::testing::words::{flaw_of_help, private_word};
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_text_of_help_stands_by_itself() {
        let command = Arguments::command();
        let texts = command.get_arguments().map(|argument| argument.get_help());
        for text in texts.chain([command.get_about()]).map(|text| text.map(ToString::to_string).unwrap_or_default()) {
            assert!(!text.is_empty());
            assert_eq!(flaw_of_help(&text), None, "{text}");
        }
        for text in [command.get_long_about(), command.get_after_help()].into_iter().flatten() {
            assert_eq!(private_word(&text.to_string()), None, "{text}");
        }
    }
}
