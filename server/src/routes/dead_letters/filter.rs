//! Which dead letters an operation means.

use card_core::ids::{RunId, TaskId};
use card_core::problem::FieldError;
use card_core::tasks::{Kind, Status, TaskFilter};
use card_core::time::Instant;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::query::{Query, pattern, point_in_time};
use crate::problem::Refusal;

/// One operation names at most so many tasks: that fits into a body.
const NAMED_LIMIT: usize = 1000;

/// Which dead letters. Conditions are joined by "and"; none means all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    /// Whose error (`code: message`) matches this regular expression.
    #[schema(max_length = 512)]
    error: Option<String>,
    /// Filter by time of failure: at or after this time (RFC 3339), or within this long (`15m`).
    #[schema(example = "15m")]
    since: Option<String>,
    /// Of this kind.
    #[schema(value_type = Option<Kind>)]
    kind: Option<String>,
    /// Of this run.
    run: Option<RunId>,
    /// These, in this order. Then there is no other condition.
    #[schema(max_items = 1000)]
    tasks: Vec<TaskId>,
}

/// A filter that can be used.
pub(super) enum Which {
    /// What matches, newest first.
    Matching(TaskFilter),
    /// These.
    Named(Vec<TaskId>),
}

impl Filter {
    pub(super) async fn parse(self, app: &App) -> Result<Which, Refusal> {
        let Self { error, since, kind, run, mut tasks } = self;
        if !tasks.is_empty() {
            if error.is_some() || since.is_some() || kind.is_some() || run.is_some() {
                return Err(Refusal::invalid("/filter/tasks", "names them: there can be no other condition"));
            }
            if tasks.len() > NAMED_LIMIT {
                return Err(Refusal::invalid("/filter/tasks", format!("may have at most {NAMED_LIMIT} tasks")));
            }
            let mut seen = std::collections::HashSet::with_capacity(tasks.len());
            tasks.retain(|task| seen.insert(*task));
            return Ok(Which::Named(tasks));
        }
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, detail: String| errors.push(FieldError { pointer: pointer.to_owned(), detail });
        let matches = error.and_then(|text| pattern(&text).map_err(|why| wrong("/filter/error", why)).ok());
        let now = Instant::now();
        let since = since.and_then(|text| point_in_time(&text, now).map_err(|why| wrong("/filter/since", why)).ok());
        if !errors.is_empty() {
            return Err(Refusal::invalid_all(errors));
        }
        let kind = app.kind(kind.as_deref(), "/filter/kind").await?;
        Ok(Which::Matching(TaskFilter { error: matches, since, ..dead(kind, run) }))
    }
}

/// The same conditions as query parameters, and what kind is named.
pub(super) fn of_query(query: &mut Query) -> (TaskFilter, Option<String>) {
    let now = Instant::now();
    let (kind, run) = (query.text("kind"), query.get("run"));
    let error = query.with("error", pattern);
    let since = query.with("since", |text| point_in_time(text, now));
    (TaskFilter { error, since, ..dead(None, run) }, kind)
}

fn dead(kind: Option<Kind>, run: Option<RunId>) -> TaskFilter {
    TaskFilter { kind, run, status: Some(Status::Dead), ..TaskFilter::default() }
}
