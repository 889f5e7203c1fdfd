//! All that is known of one task: the task and its attempts.

use card_core::tasks::{Attempt, Status, Task, TaskError};
use card_core::time::Instant;
use serde::Serialize;

use crate::client::{Caller, Client, ClientError};
use crate::commands::watch::screen::milliseconds;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Paint, Printer};
use card_core::exit::Exit;

/// A task and its attempts.
#[derive(Debug, Serialize)]
pub struct Sheet {
    pub task: Task,
    /// Its attempts that ended, oldest first.
    pub attempts: Vec<Attempt>,
}

impl Sheet {
    /// Reads the attempts of a task.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn of(client: &Client, task: Task) -> Result<Self, ClientError> {
        let attempts = client.attempts(task.id, Caller::Operator).await?;
        Ok(Self { task, attempts })
    }

    /// Writes it in the format that was asked for.
    ///
    /// # Errors
    /// stdout can't be written.
    pub fn write(&self, printer: &Printer) -> Result<(), Failure> {
        printer.data(self)?;
        if !printer.is_text() {
            return Ok(());
        }
        let (task, paint) = (&self.task, printer.out());
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let facts = [
            ("task", task.id.to_string()),
            ("kind", task.kind.to_string()),
            ("status", paint.status(task.status)),
            ("priority", task.priority.to_string()),
            ("owner", text(task.owner.map(|owner| owner.to_string()))),
            ("run", text(task.run.as_ref().map(ToString::to_string))),
            ("accepted", task.accepted_at.to_string()),
            ("due", text(task.due_at.map(|at| at.to_string()))),
            ("started", text(task.started_at.map(|at| at.to_string()))),
            ("settled", text(task.settled_at.map(|at| at.to_string()))),
            ("result", text(task.result.as_ref().map(|result| result.get().to_owned()))),
            ("error", text(task.error.as_ref().map(ToString::to_string))),
        ];
        for (name, value) in facts {
            printer.text(format!("{name:<9} {value}"))?;
        }
        let rows = self.rows(paint);
        if rows.is_empty() {
            return Ok(());
        }
        printer.text("")?;
        printer.text(printer.table(&["attempt", "began", "took", "outcome", "error"], rows, 14))
    }

    /// A line for each attempt, the one that is under way last.
    fn rows(&self, paint: Paint) -> Vec<Vec<String>> {
        let row = |number: u32, began: Option<Instant>, ended: Option<Instant>, status, error: Option<&TaskError>| {
            let took = began.zip(ended).map(|(began, ended)| milliseconds(ended.since(began)));
            vec![
                number.to_string(),
                began.map(|began| began.to_string()).unwrap_or_default(),
                took.unwrap_or_default(),
                paint.status(status),
                error.map(ToString::to_string).unwrap_or_default(),
            ]
        };
        let ended = self.attempts.iter().map(|attempt| {
            row(attempt.number, attempt.started_at, Some(attempt.ended_at), attempt.status, attempt.error.as_ref())
        });
        let next = self.attempts.last().map_or(1, |last| last.number + 1);
        let running =
            (self.task.status == Status::Running).then(|| row(next, self.task.started_at, None, Status::Running, None));
        ended.chain(running).collect()
    }
}

/// There is no such task.
#[must_use]
pub fn not_found(context: &Context, task: card_core::ids::TaskId) -> Failure {
    Failure::new("not-found", Exit::Unknown, format!("no such task: {task}"))
        .fix(crate::client::command(context, "tasks list"))
}
