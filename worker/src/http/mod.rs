//! HTTP as the bureau and a worker's health port serve it. The API has its own, in `card-server`: it has far more
//! clients to bear.

pub(crate) mod connections;
pub(crate) mod health;
pub(crate) mod problem;

/// For what no route answers.
pub(crate) async fn no_such_route() -> problem::Problem {
    problem::Problem::of_status(axum::http::StatusCode::NOT_FOUND)
}
