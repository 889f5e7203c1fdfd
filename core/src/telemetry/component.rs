//! Whose line of the log it is: a field that is the same in every line of a process.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of JSON as another format writes them, with a `component` as their first field.
pub(super) struct Named<F> {
    format: F,
    /// `"component":"worker-2",`, or nothing.
    field: String,
}

impl<F> Named<F> {
    pub(super) fn new(format: F, component: Option<&str>) -> Self {
        let field =
            component.map(|name| format!("\"component\":{},", serde_json::Value::from(name))).unwrap_or_default();
        Self { format, field }
    }
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::with_capacity(256);
        self.format.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            // Every line has a time and a level: what follows the comma is never the closing brace.
            Some(fields) => write!(writer, "{{{}{fields}", self.field),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(component: Option<&str>) -> serde_json::Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .map_event_format(|format| Named::new(format, component))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::info!(task = 7, "settled"));
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("}\n"), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_carries_its_component_beside_its_own_fields() {
        let named = line(Some("worker-\"2\""));
        assert_eq!((&named["component"], &named["task"]), (&"worker-\"2\"".into(), &7.into()));
        assert_eq!((&named["message"], &named["level"]), (&"settled".into(), &"INFO".into()));
        assert!(line(None).get("component").is_none());
    }
}
