//! What a kind of task must bring: how a step begins, and the value that it ends with.

use std::time::Duration;

use card_core::engine::Claim;
use card_core::tasks::{Kind, Outcome, TaskError};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::definition::TaskKind;
use crate::gate::Gate;

/// How a step ended. The runner acts on it; the step itself touches nothing of the engine.
#[derive(Debug, Clone)]
pub enum Step {
    /// It worked, or the outside world said no for good.
    Settle(Outcome),
    /// The attempt failed and another may work. The retry policy decides when, or that this one was the last.
    Retry(TaskError),
    /// No attempt can work: the task becomes a dead letter at once.
    GiveUp(TaskError),
    /// No attempt was made, or none that says anything about this task: it does not count and is due again after `wait`.
    Defer {
        /// How long until the task is due again.
        wait: Duration,
        /// What it waits for.
        error: TaskError,
    },
}

/// A step that was begun.
pub enum Begun {
    /// It needed to wait for nothing and is over. Saves the runner a spawned task.
    Done(Step),
    /// It waits for others. Dropping it ends it; it must then leave nothing half done that a second attempt can't
    /// complete.
    Running(BoxFuture<'static, Step>),
}

/// Does the steps of one kind of task.
pub trait Handler: Send + Sync + 'static {
    /// Which kind.
    fn kind(&self) -> Kind;

    /// Begins a step. MUST NOT block the thread. A panic, here or in the future, is a failed attempt.
    fn begin(&self, claim: &Claim) -> Begun;

    /// What the steps of this kind depend on, if it can be down: while it is, none are claimed.
    fn gate(&self) -> Option<&Gate> {
        None
    }
}

/// A [`TaskError`] with a code that programs group by and a sentence without personal data.
#[must_use]
pub fn task_error(code: &str, message: impl Into<String>) -> TaskError {
    TaskError { code: code.to_owned(), message: message.into() }
}

/// The claim's payload as the kind's own type.
///
/// # Errors
/// The step to end with: a payload that can't be read today can't be read tomorrow.
pub fn payload<T: DeserializeOwned>(claim: &Claim) -> Result<T, Step> {
    serde_json::from_str(claim.payload.get()).map_err(|error| {
        // Not the error's own text: it quotes the payload.
        let place = format!("line {}, column {}", error.line(), error.column());
        invalid_payload(format!("the payload is not that of a task of kind {} ({place})", claim.kind))
    })
}

/// The step that ends a task whose payload makes no sense.
#[must_use]
pub fn invalid_payload(message: impl Into<String>) -> Step {
    Step::GiveUp(task_error("invalid-payload", message))
}

/// The step that ends a task well: with its result, and with the effect that the kind makes of it.
#[must_use]
pub fn succeeded<K: TaskKind>(output: &K::Output) -> Step {
    let effect = K::effect(output);
    if effect.is_some() != K::HAS_EFFECT {
        // The audit counts the effects of kinds that have some.
        return Step::GiveUp(task_error("internal", "the kind does not say of its effects what it does"));
    }
    match serde_json::value::to_raw_value(output) {
        Ok(result) => Step::Settle(Outcome::Succeeded { result, effect }),
        Err(error) => Step::GiveUp(task_error("internal", format!("the result can't be written as JSON: {error}"))),
    }
}

/// The step that ends a task to which the outside world said no.
#[must_use]
pub fn declined(code: &str, message: impl Into<String>) -> Step {
    Step::Settle(Outcome::Declined { error: task_error(code, message) })
}
