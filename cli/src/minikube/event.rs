//! The lines of `minikube … -o json`: a CloudEvent each.

use serde::Deserialize;
use serde_json::Value;

/// What of an event is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A step has begun.
    Step {
        /// Such as `Starting Node`.
        name: String,
        /// From 0; they skip numbers. None where minikube does not count.
        number: Option<u32>,
        /// How many there may be.
        total: Option<u32>,
    },
    /// Bytes of something that is fetched.
    Download {
        artifact: String,
        /// How much of it is there, in thousandths.
        share: Option<u32>,
    },
    /// It goes on, and this should be known.
    Warning(String),
    /// It ends with this.
    Error {
        /// One sentence.
        message: String,
        /// Stable, such as `PROVIDER_DOCKER_NOT_RUNNING`.
        id: Option<String>,
        /// What minikube advises.
        advice: Option<String>,
    },
}

#[derive(Deserialize)]
struct Line {
    r#type: String,
    #[serde(default)]
    data: Value,
}

/// Reads a line; none if it is none of those.
pub(super) fn read(line: &str) -> Option<Event> {
    let Line { r#type, data } = serde_json::from_str(line.trim()).ok()?;
    let text = |key: &str| data[key].as_str().map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let number = |key: &str| text(key)?.parse().ok();
    match r#type.strip_prefix("io.k8s.sigs.minikube.")? {
        "step" => Some(Event::Step {
            name: text("name").or_else(|| text("message"))?,
            number: number("currentstep"),
            total: number("totalsteps"),
        }),
        "download.progress" | "download" => Some(Event::Download {
            artifact: text("artifact")?,
            share: text("progress")
                .and_then(|share| share.parse::<f64>().ok())
                .filter(|share| (0.0..=1.0).contains(share))
                .map(|share| (share * 1000.0) as u32),
        }),
        "warning" => Some(Event::Warning(text("message")?)),
        "error" => Some(Event::Error {
            message: text("message")?,
            id: text("id").or_else(|| text("name")),
            advice: text("advice"),
        }),
        _ => None,
    }
}

/// The last error among lines.
pub(super) fn complaint(lines: &str) -> Option<String> {
    lines.lines().rev().find_map(|line| match read(line) {
        Some(Event::Error { message, .. }) => Some(message),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(kind: &str, data: &str) -> Option<Event> {
        read(&format!(
            r#"{{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.{kind}","datacontenttype":"application/json","data":{data}}}"#
        ))
    }

    #[test]
    fn a_step_has_a_name_and_perhaps_a_number() {
        let step = event(
            "step",
            r#"{"currentstep":"5","message":"Starting control plane node","name":"Starting Node","totalsteps":"19"}"#,
        );
        assert_eq!(step, Some(Event::Step { name: "Starting Node".to_owned(), number: Some(5), total: Some(19) }));
        let step = event("step", r#"{"currentstep":"","message":"Done!","name":"","totalsteps":""}"#);
        assert_eq!(step, Some(Event::Step { name: "Done!".to_owned(), number: None, total: None }));
    }

    #[test]
    fn an_error_comes_with_its_id_and_advice() {
        let error = event(
            "error",
            r#"{"advice":"Start the Docker service","exitcode":"69","id":"PROVIDER_DOCKER_NOT_RUNNING","message":"no docker","name":"x"}"#,
        );
        assert_eq!(
            error,
            Some(Event::Error {
                message: "no docker".to_owned(),
                id: Some("PROVIDER_DOCKER_NOT_RUNNING".to_owned()),
                advice: Some("Start the Docker service".to_owned()),
            })
        );
    }

    #[test]
    fn the_last_complaint_is_the_one_it_ended_with() {
        let line =
            |message: &str| format!(r#"{{"type":"io.k8s.sigs.minikube.error","data":{{"message":"{message}"}}}}"#);
        assert_eq!(complaint(&format!("{}\nnoise\n{}\n", line("first"), line("second"))).as_deref(), Some("second"));
        assert_eq!(complaint("noise"), None);
    }

    proptest! {
        #[test]
        fn anything_may_come(line in ".*", data in ".*") {
            let _ = read(&line);
            let _ = event("step", &data);
        }
    }
}
