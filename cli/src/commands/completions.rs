//! `cardctl completions`.

use clap_complete::Shell;

use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl completions bash            source <(cardctl completions bash)
  cardctl completions zsh             put it into a file _cardctl on your $fpath
  cardctl completions fish            cardctl completions fish | source")]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs it.
///
/// # Errors
/// stdout can't be written.
pub async fn run(args: CompletionsArgs, context: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "cardctl", &mut script);
    context.printer.raw(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
