//! A command line that can't be read: what is wrong with it, in the shape of every other failure.

mod foreign;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args;
use crate::failure::Failure;
use crate::output::{Choices, Format, Printer};
use card_core::exit::Exit;

/// Prints help, the version or the mistake.
#[must_use]
pub fn report(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let printer = Printer::new(Choices { format: format_of(arguments), ..Choices::default() });
    let rendered = |colour| if colour { error.render().ansi().to_string() } else { error.render().to_string() };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match printer.own(rendered(printer.out().is_on()).trim_end()) {
                Ok(()) => Exit::Done,
                Err(failure) => failure.exit,
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            printer.say_own(rendered(printer.err().is_on()).trim_end());
            Exit::Usage
        }
        _ => {
            printer.failure(&failure(error, arguments));
            Exit::Usage
        }
    }
}

fn failure(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let text = error.render().to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let failure = Failure::new("usage", Exit::Usage, first.strip_prefix("error: ").unwrap_or(first));
    // Up to the first empty line clap explains; what follows are its own tips and the usage line.
    // Their indent is taken off and no more: what points at a place in the line above must stay below it.
    let failure = lines
        .take_while(|line| !line.trim().is_empty())
        .fold(failure, |failure, line| failure.evidence(line.strip_prefix("  ").unwrap_or(line).trim_end()));
    let command = named_command(arguments);
    let path = command.get_bin_name().unwrap_or("cardctl").to_owned();
    let fix = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let given = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let ours = foreign::command(&given).map(str::to_owned).or_else(|| {
                let suggested = context(error, ContextKind::SuggestedSubcommand)?;
                Some(format!("{path} {suggested}"))
            });
            ours.map(|ours| format!("did you mean `{ours}`?"))
        }
        ErrorKind::UnknownArgument => {
            let given = context(error, ContextKind::InvalidArg).unwrap_or_default();
            foreign::flag(&given, &command)
                .or_else(|| Some(format!("did you mean {}?", context(error, ContextKind::SuggestedArg)?)))
        }
        ErrorKind::InvalidValue => {
            context(error, ContextKind::SuggestedValue).map(|value| format!("did you mean {value}?"))
        }
        _ => None,
    };
    failure.fix(fix.unwrap_or_else(|| format!("{path} --help")))
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(one) => Some(one.clone()),
        // In rising order of likeness.
        ContextValue::Strings(many) => many.last().cloned(),
        _ => None,
    }
}

/// The command that the line names, as far as it names one.
fn named_command(arguments: &[OsString]) -> clap::Command {
    let mut command = args::command();
    command.build();
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != "--") {
        if let Some(inner) = command.find_subcommand(word).cloned() {
            command = inner;
        }
    }
    command
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(line: &str) -> Failure {
        let arguments: Vec<_> = line.split(' ').map(OsString::from).collect();
        failure(&args::parse(&arguments).unwrap_err(), &arguments)
    }

    #[test]
    fn a_mistake_names_what_was_meant() {
        for (line, fix) in [
            ("cardctl statsu", "did you mean `cardctl status`?"),
            ("cardctl stop", "did you mean `cardctl down`?"),
            ("cardctl ps", "did you mean `cardctl status`?"),
            ("cardctl up --detatch", "did you mean --detach?"),
            ("cardctl up --background", "did you mean --detach?"),
            ("cardctl down --volumes", "did you mean --purge?"),
            ("cardctl up --replicas 3", "did you mean --workers?"),
            ("cardctl up --database-url x", "did you mean --database?"),
            ("cardctl autoscale", "did you mean `cardctl scale`?"),
            ("cardctl status --json", "did you mean -o json?"),
            ("cardctl status -o jsn", "did you mean json?"),
            ("cardctl up --port", "cardctl up --help"),
            ("cardctl bench", "did you mean `cardctl loadtest run`?"),
            ("cardctl loadtest run --vus 5", "did you mean --users?"),
            ("cardctl loadtest run -c 5", "did you mean --users?"),
            ("cardctl loadtest run --spawn-rate 5", "did you mean --ramp?"),
            ("cardctl loadtest run -z 5s", "did you mean --duration?"),
            ("cardctl loadtest run --run-time 5s", "did you mean --duration?"),
            ("cardctl loadtest run --stages 5s:10", "did you mean --steps?"),
            ("cardctl loadtest run --thresholds x", "did you mean --slo?"),
            ("cardctl loadtest run --think-time 1s", "did you mean --think?"),
            ("cardctl loadtest run --qps 5", "did you mean --rate?"),
            ("cardctl loadtest run --out-format json", "did you mean --output?"),
            ("cardctl submit --spawn-rate 5", "did you mean --rate?"),
            ("cardctl submit --vus 5", "did you mean --concurrency?"),
        ] {
            assert_eq!(mistake(line).fix.as_deref(), Some(fix), "{line}");
        }
    }

    #[test]
    fn the_format_is_known_before_the_rest_is() {
        for (line, format) in [
            ("x -o json y", Format::Json),
            ("x --output=jsonl", Format::Jsonl),
            ("x -ojson", Format::Json),
            ("x -- -o json", Format::Text),
            ("x -o", Format::Text),
        ] {
            let arguments: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(format_of(&arguments), format, "{line}");
        }
    }
}
