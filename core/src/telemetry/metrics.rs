//! Prometheus metrics: the names, what they mean, and the recorder behind `/metrics`.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests by `method`, `route` (the template) and `status`.
pub const HTTP_REQUESTS: &str = "http_requests_total";
/// Time to answer, by `method` and `route`.
pub const HTTP_DURATION: &str = "http_request_duration_seconds";
/// Requests being answered.
pub const HTTP_IN_FLIGHT: &str = "http_requests_in_flight";
/// Tasks made durable, by `kind`.
pub const TASKS_ACCEPTED: &str = "tasks_accepted_total";
/// Tasks that became final, by `kind` and `status`.
pub const TASKS_SETTLED: &str = "tasks_settled_total";
/// Attempts that ended, by `kind` and `outcome`.
pub const TASK_ATTEMPTS: &str = "task_attempts_total";
/// From accepted to the attempt's begin, by `kind`.
pub const TASK_WAIT: &str = "task_wait_seconds";
/// Length of an attempt, by `kind`.
pub const TASK_RUN: &str = "task_run_seconds";
/// From accepted to final, by `kind`.
pub const TASK_END_TO_END: &str = "task_end_to_end_seconds";
/// Tasks that are due or running, by `kind`.
pub const QUEUE_BACKLOG: &str = "queue_backlog";
/// Age of the oldest task that is due and that nobody works on, by `kind`.
pub const QUEUE_OLDEST_AGE: &str = "queue_oldest_age_seconds";
/// Dead letters that were not discarded, by `kind`.
pub const DEAD_LETTERS: &str = "dead_letters";
/// Workers seen in the last 15 seconds.
pub const WORKERS_ALIVE: &str = "workers_alive";
/// Reads that a cache could answer, by `cache` and `outcome` (`hit`, `miss`).
pub const CACHE_REQUESTS: &str = "cache_requests_total";
/// 1 if Redis removes keys when it is full (`maxmemory-policy` is not `noeviction`), else 0. Engine `postgres` only.
pub const REDIS_EVICTS: &str = "redis_evicts";
/// Calls of the issuer, by `outcome`.
pub const ISSUER_REQUESTS: &str = "issuer_requests_total";
/// Answers of the simulated issuer, by `outcome`: the other side of [`ISSUER_REQUESTS`].
pub const ISSUER_ANSWERS: &str = "issuer_answers_total";

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Sets the process's recorder, once, and returns what renders it; none if another recorder was set before.
pub fn install() -> Option<&'static PrometheusHandle> {
    HANDLE
        .get_or_init(|| {
            let buckets = [
                0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5,
                1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
            ];
            let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &buckets);
            let handle = builder.ok()?.install_recorder().ok()?;
            describe();
            Some(handle)
        })
        .as_ref()
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered");
    describe_histogram!(HTTP_DURATION, Unit::Seconds, "Time to answer a request");
    describe_gauge!(HTTP_IN_FLIGHT, "Requests being answered");
    describe_counter!(TASKS_ACCEPTED, "Tasks made durable");
    describe_counter!(TASKS_SETTLED, "Tasks that became final");
    describe_counter!(TASK_ATTEMPTS, "Attempts that ended");
    describe_histogram!(TASK_WAIT, Unit::Seconds, "From accepted to the begin of an attempt");
    describe_histogram!(TASK_RUN, Unit::Seconds, "Length of an attempt");
    describe_histogram!(TASK_END_TO_END, Unit::Seconds, "From accepted to final");
    describe_gauge!(QUEUE_BACKLOG, "Tasks that are due or running");
    describe_gauge!(QUEUE_OLDEST_AGE, Unit::Seconds, "Age of the oldest due task that nobody works on");
    describe_gauge!(DEAD_LETTERS, "Dead letters that were not discarded");
    describe_gauge!(WORKERS_ALIVE, "Workers seen in the last 15 seconds");
    describe_counter!(CACHE_REQUESTS, "Reads that a cache could answer");
    describe_gauge!(REDIS_EVICTS, "Whether Redis removes keys when it is full: maxmemory-policy is not noeviction");
    describe_counter!(ISSUER_REQUESTS, "Calls of the issuer");
    describe_counter!(ISSUER_ANSWERS, "Answers of the simulated issuer");
}
