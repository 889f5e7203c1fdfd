//! `cardctl completions`.

use card_core::tasks::{Priority, Status};
use card_kinds::Registry;
use card_kinds::replacement::Reason;
use card_loadtests::plan::{Journey, Preset};
use clap::ValueHint;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl completions bash            print them; to load: source <(cardctl completions bash)
  cardctl completions zsh             print them; save as _cardctl in a directory of $fpath
  cardctl completions fish            print them; to load: cardctl completions fish | source")]
pub struct CompletionsArgs {
    /// Shell of the completion script
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs it.
///
/// # Errors
/// stdout can't be written.
pub async fn run(args: CompletionsArgs, context: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut offered(&args::command()), "cardctl", &mut script);
    context.printer.own(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}

/// The command line as far as it is offered: without hidden commands and flags, with the values of what has a few, and
/// without the names of files where no file is meant.
fn offered(command: &clap::Command) -> clap::Command {
    let name = command.get_name().to_owned();
    let about = command.get_about().cloned().unwrap_or_default();
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let shell = clap::Command::new(name).about(about).disable_help_subcommand(true);
    let shell = match command.get_version() {
        Some(version) => shell.version(version.to_owned()),
        None => shell,
    };
    shell.args(arguments.map(|argument| with_values(argument.clone()))).subcommands(commands.map(offered))
}

fn with_values(argument: clap::Arg) -> clap::Arg {
    let takes_none = !argument.get_action().takes_values();
    let has_values = !argument.get_possible_values().is_empty();
    // A hint that clap guessed, from the type of the argument, is right; without one it would offer files.
    if takes_none || has_values || argument.get_value_hint() != ValueHint::Unknown {
        return argument;
    }
    let is_called = |name: &str| argument.get_value_names().unwrap_or_default().iter().any(|called| called == name);
    let values: Vec<String> = match argument.get_id().as_str() {
        "kind" => Registry::default().all().map(|one| one.kind.to_string()).collect(),
        "status" => Status::ALL.map(|one| one.as_str().to_owned()).to_vec(),
        "priority" => Priority::ALL.map(|one| one.as_str().to_owned()).to_vec(),
        // Reasons are free text of operators.
        "reason" if is_called("REASON") => Reason::ALL.map(|one| one.as_str().to_owned()).to_vec(),
        "preset" => Preset::ALL.map(|one| one.as_str().to_owned()).to_vec(),
        "journey" => Journey::all().iter().map(|journey| journey.as_str().to_owned()).collect(),
        "model" => ["closed", "open"].map(str::to_owned).to_vec(),
        "target" => ["embedded", "processes", "minikube", "kube"].map(str::to_owned).to_vec(),
        _ => {
            // By what its help calls it: not everything that may be a file is a path by its type.
            let called = argument.get_value_names().unwrap_or_default().join(" ");
            let is_path = ["FILE", "DIR", "PATH"].iter().any(|word| called.contains(word));
            return argument.value_hint(if is_path { ValueHint::AnyPath } else { ValueHint::Other });
        }
    };
    argument.value_parser(PossibleValuesParser::new(values))
}
