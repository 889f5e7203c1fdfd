//! What may go wrong with a request.

use std::time::Duration;

use serde_json::{Value, json};

/// What a request meets.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is answered with this status and this body; nothing happens.
    Answer(u16, Value),
    /// The connection breaks before anything happens.
    Lost,
    /// It happens, and the connection breaks before the answer.
    AnswerLost,
    /// It happens after so long.
    Slow(Duration),
    /// It is answered with this status, and to come back after so many seconds; nothing happens.
    Later(u16, u64),
}

impl Fault {
    /// A `Status` as the API answers it.
    #[must_use]
    pub fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::Answer(code, status(code, reason, message, Value::Null))
    }
}

/// The `Status` of a failure.
pub(super) fn status(code: u16, reason: &str, message: &str, details: Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": message, "details": if details.is_null() { json!({}) } else { details }})
}

#[derive(Default)]
pub(super) struct Faults {
    nth: Vec<(usize, Fault)>,
    on: Vec<(String, String, Fault)>,
    always: Vec<(String, Fault)>,
    left: Option<usize>,
}

impl Faults {
    pub(super) fn fail(&mut self, nth: usize, fault: Fault) {
        self.nth.push((nth, fault));
    }

    pub(super) fn fail_on(&mut self, method: &str, path: &str, fault: Fault) {
        self.on.push((method.to_owned(), path.to_owned(), fault));
    }

    pub(super) fn fail_always(&mut self, path: &str, fault: Fault) {
        self.always.push((path.to_owned(), fault));
    }

    pub(super) fn stop_after(&mut self, requests: usize) {
        self.left = Some(requests);
    }

    /// What the next request meets.
    pub(super) fn next(&mut self, method: &str, path: &str) -> Option<Fault> {
        if let Some(left) = &mut self.left {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Some(Fault::Lost),
            }
        }
        let mut met = None;
        self.nth.retain_mut(|(nth, fault)| match nth.checked_sub(1) {
            Some(fewer) => {
                *nth = fewer;
                true
            }
            None => {
                met = Some(fault.clone());
                false
            }
        });
        let named = self.on.iter().position(|(on, part, _)| method == on && path.contains(part.as_str()));
        let always =
            || self.always.iter().find(|(part, _)| path.contains(part.as_str())).map(|(_, fault)| fault.clone());
        met.or_else(|| named.map(|at| self.on.remove(at).2)).or_else(always)
    }
}
