//! A yes from the person at the terminal, or `--yes`.

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Returns if the answer is yes.
///
/// # Errors
/// The answer is no, nobody is there to ask, or the command was interrupted. Nothing was changed.
pub(in crate::commands) async fn confirm(context: &Context, question: &str) -> Result<(), Failure> {
    if context.yes {
        return Ok(());
    }
    let refused = |message: &str, exit| Failure::new("not-confirmed", exit, message).left("nothing was changed");
    if !context.interactive {
        return Err(refused(&format!("{question} needs confirmation, and stdin is not a terminal"), Exit::NotReady)
            .fix("add --yes to confirm"));
    }
    context.printer.say(format!("{question}? [y/N]"));
    let mut answer = String::new();
    let mut stdin = BufReader::new(tokio::io::stdin());
    tokio::select! {
        read = stdin.read_line(&mut answer) => drop(read.map_err(Failure::internal)?),
        () = context.stop.cancelled() => return Err(refused("interrupted", context.interrupted())),
    }
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(refused("not confirmed", Exit::NotReady))
    }
}
