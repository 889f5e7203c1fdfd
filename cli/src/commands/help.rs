//! `cardctl help`: of a command, or on a topic.

use std::ffi::OsString;

use serde::Serialize;

use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Print the help of a command, or of a topic: exit-codes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl help up                     print the help of `cardctl up`
  cardctl help exit-codes             explain the exit codes")]
pub struct HelpArgs {
    /// Command and its subcommand, or exit-codes
    #[arg(value_name = "COMMAND|TOPIC")]
    subject: Vec<String>,
}

#[derive(Serialize)]
struct Codes {
    exit_codes: Vec<Code>,
}

#[derive(Serialize)]
struct Code {
    code: u8,
    means: &'static str,
}

/// Runs it.
///
/// # Errors
/// There is no such command or topic.
pub async fn run(args: HelpArgs, context: &Context) -> Result<Exit, Failure> {
    if args.subject.iter().map(String::as_str).eq(["exit-codes"]) {
        return exit_codes(context);
    }
    let mut command = args::command();
    for name in &args.subject {
        command = command.find_subcommand(name).cloned().ok_or_else(|| unknown(name, &command))?;
    }
    let words = ["cardctl"].into_iter().chain(args.subject.iter().map(String::as_str)).chain(["--help"]);
    let Err(help) = args::parse(&words.map(OsString::from).collect::<Vec<_>>()) else {
        return Err(Failure::internal("--help printed nothing"));
    };
    let help = help.render();
    let text = if context.printer.out().is_on() { help.ansi().to_string() } else { help.to_string() };
    context.printer.own(text.trim_end())?;
    Ok(Exit::Done)
}

fn exit_codes(context: &Context) -> Result<Exit, Failure> {
    let codes: Vec<_> = Exit::ALL.into_iter().map(|(exit, means)| Code { code: exit as u8, means }).collect();
    for Code { code, means } in &codes {
        context.printer.text(format!("{code:>3}  {means}"))?;
    }
    context.printer.text("")?;
    context.printer.text(
        "If several apply, the first in this order wins: 9, 6, 7, 10, 11. JSON lists every verdict in any case.",
    )?;
    context.printer.data(&Codes { exit_codes: codes })?;
    Ok(Exit::Done)
}

fn unknown(name: &str, within: &clap::Command) -> Failure {
    let known = within.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    let nearest = known.chain(["exit-codes"]).min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let failure = Failure::new("usage", Exit::Usage, format!("no such command or topic: {name:?}"));
    match nearest.filter(|nearest| strsim::damerau_levenshtein(nearest, name) <= 3) {
        Some(nearest) => failure.fix(format!("did you mean {nearest}? cardctl help {nearest}")),
        None => failure.fix("cardctl --help lists the commands"),
    }
}
