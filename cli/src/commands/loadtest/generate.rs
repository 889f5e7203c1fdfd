//! `cardctl loadtest generate`: one of several load generators. Nobody is meant to type it: `loadtest run --generators`
//! starts it, reads its lines, and concludes from them. In a cluster `card-generator` does the same.
//!
//! stdout has lines of `card_loadtests::shard::wire`, the last of them what it leaves behind; stderr is talk. It ends with
//! 0 when everything is written, whatever was found: that is for the others to judge who have the other parts.

use std::io::{self, BufRead};

use card_loadtests::generate::{GenerateError, generate};
use card_loadtests::shard::{Assignment, InvalidAssignment};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Run one of several load generators (started by `loadtest run`)
#[derive(Debug, clap::Args)]
pub(super) struct GenerateArgs {
    /// Assignment of all generators [default: the first line of stdin; the generator stops when stdin closes]
    #[arg(long, value_name = "JSON")]
    assignment: Option<String>,
    /// Number of this generator, from 1
    #[arg(long, value_name = "N")]
    number: u64,
}

pub(super) async fn run(args: GenerateArgs, context: &Context) -> Result<Exit, Failure> {
    let text = match args.assignment {
        Some(text) => text,
        None => from_stdin().await?,
    };
    let assignment = Assignment::read(&text).map_err(|error| invalid(&error))?;
    let client = client::client(&context.endpoint().await?)?;
    let made = generate(client, assignment, args.number, &context.stop, &mut io::stdout()).await;
    made.map(|()| Exit::Done).map_err(|error| failure(error, context))
}

fn failure(error: GenerateError, context: &Context) -> Failure {
    match error {
        GenerateError::Assignment(error) => invalid(&error),
        GenerateError::Client(error) => error.into(),
        GenerateError::Run(error) => super::run::failure(error, context),
        GenerateError::Told(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::closed_output(),
        GenerateError::Told(_) => Failure::internal(error),
    }
}

/// The first line. When stdin ends after that, whoever started this is gone, and so is the use of going on.
async fn from_stdin() -> Result<String, Failure> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut first = String::new();
        let read = io::stdin().lock().read_line(&mut first).map(|_| first);
        if tell.send(read).is_ok() {
            let _ = std::io::copy(&mut io::stdin().lock(), &mut io::sink());
            std::process::exit(i32::from(Exit::Terminated as u8));
        }
    });
    told.await.map_err(Failure::internal)?.map_err(Failure::internal)
}

fn invalid(error: &InvalidAssignment) -> Failure {
    let (exit, fix) = match error {
        InvalidAssignment::Version(_) => (Exit::NotReady, "use an image and a cardctl of the same version"),
        _ => (Exit::Usage, "use `cardctl loadtest run --generators N`: it starts the generators"),
    };
    Failure::new("assignment", exit, error.to_string()).fix(fix)
}
