//! Whose lines are meant: a part of the platform, or one process of several.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error, ValueEnum};

use super::line::{Component, Line};
use crate::supervisor;

/// One of the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// Every line of a part: where there are several processes, of those that are one.
    Part(Component),
    /// `worker-2`, `supervisor`.
    Process(String),
}

impl Selector {
    pub(super) fn means(&self, line: &Line) -> bool {
        match (self, &line.process) {
            (Self::Process(name), process) => process.as_ref() == Some(name),
            // Who waits on the engine is said by every process: it is told by the code that speaks.
            (Self::Part(Component::Engine), _) | (Self::Part(_), None) => *self == Self::Part(line.component),
            (Self::Part(Component::Process), Some(process)) => process == supervisor::NAME,
            (Self::Part(part), Some(process)) => process.split('-').next() == Some(&name(*part)),
        }
    }

    fn read(text: &str) -> Option<Self> {
        if let Ok(part) = Component::from_str(text, false) {
            return Some(Self::Part(part));
        }
        let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_child =
            text.split_once('-').is_some_and(|(part, number)| matches!(part, "server" | "worker") && is_number(number));
        (is_child || text == supervisor::NAME || IN_A_CLUSTER.contains(&text)).then(|| Self::Process(text.to_owned()))
    }
}

/// Parts that are only there in a cluster.
const IN_A_CLUSTER: [&str; 4] = ["postgres", "redis", "prometheus", "generator"];

fn name(part: Component) -> String {
    part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Reads a [`Selector`], and knows what can be completed.
#[derive(Debug, Clone, Copy)]
pub(super) struct SelectorParser;

fn examples() -> Vec<PossibleValue> {
    let parts = Component::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let others =
        [(supervisor::NAME, "Supervisor of the processes"), ("server-1", "One server"), ("worker-1", "One worker")];
    parts.chain(others.map(|(name, help)| PossibleValue::new(name).help(help))).collect()
}

impl TypedValueParser for SelectorParser {
    type Value = Selector;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &std::ffi::OsStr) -> Result<Selector, Error> {
        let text = value.to_string_lossy();
        Selector::read(&text).ok_or_else(|| {
            let mut error = Error::new(ErrorKind::InvalidValue).with_cmd(command);
            let names: Vec<_> = examples().iter().map(|value| value.get_name().to_owned()).collect();
            let nearest = names.iter().min_by_key(|name| strsim::damerau_levenshtein(name, &text)).cloned();
            if let Some(argument) = argument {
                error.insert(ContextKind::InvalidArg, ContextValue::String(argument.to_string()));
            }
            if let Some(nearest) = nearest.filter(|nearest| strsim::damerau_levenshtein(nearest, &text) <= 3) {
                error.insert(ContextKind::SuggestedValue, ContextValue::String(nearest));
            }
            error.insert(ContextKind::InvalidValue, ContextValue::String(text.into_owned()));
            error.insert(ContextKind::ValidValue, ContextValue::Strings(names));
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(examples().into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(process: &str, target: &str) -> Line {
        Line::parse(&format!(r#"{{"component":"{process}","level":"INFO","message":"x","target":"{target}"}}"#))
    }

    #[test]
    fn processes_are_told_apart_by_name_and_by_part() {
        let lines = [
            of("server-1", "card_core::engine"),
            of("worker-1", "card_worker::runner"),
            of("worker-2", "card_core::engine"),
            of("supervisor", "cardctl::supervisor"),
        ];
        for (selector, meant) in [
            ("server", [true, false, false, false]),
            ("worker", [false, true, true, false]),
            ("worker-2", [false, false, true, false]),
            ("worker-12", [false, false, false, false]),
            ("engine", [true, false, true, false]),
            ("supervisor", [false, false, false, true]),
            ("process", [false, false, false, true]),
        ] {
            let selector = Selector::read(selector).unwrap();
            assert_eq!(lines.each_ref().map(|line| selector.means(line)), meant, "{selector:?}");
        }
    }

    #[test]
    fn what_there_can_not_be_is_refused() {
        for text in ["", "workers", "worker-", "worker-x", "engine-1", "supervisor-1"] {
            assert_eq!(Selector::read(text), None, "{text}");
        }
    }
}
