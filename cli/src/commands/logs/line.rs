//! A line of the log: JSON as the background process writes it, or plain text (a panic, a library).

use card_core::ids::TaskId;
use card_core::time::Instant;
use clap::ValueEnum;
use serde_json::{Map, Value};

use super::selector::Selector;
use crate::output::Paint;

/// A part of the platform, by the crate and module that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Component {
    /// HTTP API
    Server,
    /// Task workers
    Worker,
    /// Simulated card issuer
    Issuer,
    /// Ledger and delivery
    Engine,
    /// Process that runs them
    Process,
}

/// How bad it is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Which lines are meant.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) components: Vec<Selector>,
    pub(super) since: Option<Instant>,
    pub(super) level: Option<Level>,
    pub(super) task: Option<TaskId>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    at: Option<Instant>,
    level: Level,
    pub(super) component: Component,
    /// The process that says it, where there are several.
    pub(super) process: Option<String>,
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    pub(super) fn parse(text: &str) -> Self {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
            // What is not the logger's comes from a panic or a library in need: worth to be seen.
            return Self {
                at: None,
                level: Level::Error,
                component: Component::Process,
                process: None,
                message: text.to_owned(),
                fields: Map::new(),
            };
        };
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let at = take("timestamp").and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(Instant::from);
        let level = take("level").and_then(|text| Level::from_str(&text, true).ok()).unwrap_or(Level::Info);
        let component = take("target").map_or(Component::Process, |target| Component::of(&target));
        let process = take("component");
        let message = take("message").unwrap_or_default();
        Self { at, level, component, process, message, fields }
    }

    /// A line of a container. What is not the logger's is no trouble by that alone: Postgres and Redis speak otherwise, and
    /// the migration says what it did.
    pub(super) fn of_pod(text: &str, pod: &str, written: Option<jiff::Timestamp>) -> Self {
        let line = Self::parse(text);
        let is_trouble = ["thread '", "error:"].iter().any(|start| text.starts_with(start));
        let level = if line.at.is_some() || is_trouble { line.level } else { Level::Info };
        Self { at: line.at.or(written.map(Instant::from)), level, process: Some(pod.to_owned()), ..line }
    }

    pub(super) fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        if let Some(at) = self.at {
            text.push_str(&paint.dim(at.to_string()));
            text.push(' ');
        }
        let level = format!("{:<5}", name(&self.level));
        text.push_str(&match self.level {
            Level::Error => paint.bad(level),
            Level::Warn => paint.warn(level),
            Level::Info => paint.good(level),
            Level::Debug | Level::Trace => paint.dim(level),
        });
        let width = if self.process.is_some() { 10 } else { 7 };
        text.push_str(&format!(" {:<width$} {}", self.who(), self.message));
        for (name, value) in &self.fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&paint.dim(format!(" {name}={value}")));
        }
        text
    }

    /// Whether it is a warning or worse.
    pub(super) fn is_complaint(&self) -> bool {
        self.level <= Level::Warn
    }

    /// The process where there are several, else the part of the one.
    fn who(&self) -> String {
        self.process.clone().unwrap_or_else(|| name(&self.component))
    }

    pub(super) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("at".to_owned(), self.at.map_or(Value::Null, |at| at.to_string().into()));
        document.insert("level".to_owned(), name(&self.level).into());
        document.insert("component".to_owned(), self.who().into());
        document.insert("message".to_owned(), self.message.clone().into());
        document.insert("fields".to_owned(), self.fields.clone().into());
        document.into()
    }
}

impl Filter {
    pub(super) fn lets_through(&self, line: &Line) -> bool {
        let named = |task: &TaskId| {
            let id = task.to_string();
            line.message.contains(&id) || line.fields.values().any(|value| value.to_string().contains(&id))
        };
        (self.components.is_empty() || self.components.iter().any(|selector| selector.means(line)))
            && self.level.is_none_or(|level| line.level <= level)
            && self.since.is_none_or(|since| line.at.is_none_or(|at| at >= since))
            && self.task.as_ref().is_none_or(named)
    }
}

impl Component {
    fn of(target: &str) -> Self {
        match target.split("::").next() {
            Some("card_server") => Self::Server,
            Some("card_issuer") => Self::Issuer,
            // Log lines of a kind come from its step, which the worker runs.
            Some("card_worker" | "card_kinds") => Self::Worker,
            Some("card_core") => Self::Engine,
            _ => Self::Process,
        }
    }
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-11-20T13:11:00.123456Z","level":"WARN","message":"slow","task":"tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b","target":"card_worker::run"}"#;

    #[test]
    fn a_line_reads_as_it_was_meant() {
        let line = Line::parse(LINE);
        assert_eq!(
            line.render(Paint::plain()),
            "2026-11-20T13:11:00.123456Z warn  worker  slow task=tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b"
        );
    }

    #[test]
    fn a_filter_takes_what_is_meant_and_nothing_else() {
        let line = Line::parse(LINE);
        let task = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b".parse().ok();
        for (filter, lets_through) in [
            (Filter::default(), true),
            (Filter { level: Some(Level::Warn), ..Filter::default() }, true),
            (Filter { level: Some(Level::Error), ..Filter::default() }, false),
            (Filter { components: vec![Selector::Part(Component::Worker)], ..Filter::default() }, true),
            (Filter { components: vec![Selector::Part(Component::Issuer)], ..Filter::default() }, false),
            (Filter { since: Some(Instant::now()), ..Filter::default() }, line.at > Some(Instant::now())),
            (Filter { task, ..Filter::default() }, true),
            (Filter { task: Some(TaskId::new()), ..Filter::default() }, false),
        ] {
            assert_eq!(filter.lets_through(&line), lets_through, "{filter:?}");
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let line = Line::parse("thread 'main' panicked at x.rs:1:1:");
        assert_eq!(line.level, Level::Error);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(text in "\\PC*") {
            let _ = Line::parse(&text).render(Paint::plain());
        }
    }
}
