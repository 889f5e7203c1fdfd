//! A command line that can't be read: what is wrong with it, in the shape of every other failure.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Choices, Format, Printer};

/// Prints help, the version or the mistake.
#[must_use]
pub fn report(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let printer = Printer::new(Choices { format: format_of(arguments), ..Choices::default() });
    let rendered =
        || if printer.out().is_on() { error.render().ansi().to_string() } else { error.render().to_string() };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match printer.raw(rendered().trim_end()) {
            Ok(()) => Exit::Done,
            Err(failure) => failure.exit,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            printer.say(rendered().trim_end());
            Exit::Usage
        }
        _ => {
            printer.failure(&failure(error));
            Exit::Usage
        }
    }
}

fn failure(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.next().unwrap_or_default();
    let mut failure = Failure::new("usage", Exit::Usage, first.strip_prefix("error: ").unwrap_or(first));
    let suggestion = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| match error.get(kind) {
            Some(ContextValue::String(one)) => Some(one.clone()),
            Some(ContextValue::Strings(many)) => many.first().cloned(),
            _ => None,
        });
    if let Some(suggestion) = suggestion {
        failure = failure.fix(format!("did you mean {suggestion}?"));
    }
    failure
}

/// `-o` as far as it can be read without understanding the rest.
fn format_of(arguments: &[OsString]) -> Format {
    let mut words = arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut format = Format::Text;
    while let Some(word) = words.next() {
        let value = match word {
            "-o" | "--output" => words.next(),
            _ => word.strip_prefix("--output=").or_else(|| Some(word.strip_prefix("-o")?.trim_start_matches('='))),
        };
        match value {
            Some("json") => format = Format::Json,
            Some("jsonl") => format = Format::Jsonl,
            _ => {}
        }
    }
    format
}
