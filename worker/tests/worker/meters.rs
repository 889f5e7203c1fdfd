//! What `/metrics` says of the work.

use card_core::settings;
use card_core::telemetry::metrics;
use card_issuer::Behaviour;
use card_kinds::{add, replacement};
use card_worker::Handlers;

use crate::bed::{Bed, settings};
use crate::simulated::{Issuer, prompt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_is_counted_once() {
    // One recorder a process; `cargo nextest` gives each test its own.
    let Some(recorder) = metrics::install() else { return };
    let bed = Bed::new().await;
    let issuer = Issuer::start(Behaviour { error_rate: 1.0, ..prompt() }).await;
    let mut settings = settings();
    settings.issuer.url = issuer.url();
    settings.retry.max_attempts = 2;
    let sums = bed.accept_many(10, add::KIND, r#"{"x":1,"y":1}"#).await;
    let failing = bed.accept(replacement::KIND, r#"{"reason":"stolen"}"#).await;
    let working = bed.work(
        Handlers::new(&card_kinds::Registry::default(), &settings).unwrap(),
        settings::Worker { concurrency: 4, ..settings },
    );
    bed.all_ended(&sums).await;
    bed.ended(failing).await;
    assert!(working.stop().await.drained);
    let page = recorder.render();
    for line in [
        r#"tasks_settled_total{kind="add",status="succeeded"} 10"#,
        r#"tasks_settled_total{kind="replacement",status="dead"} 1"#,
        r#"task_attempts_total{kind="add",outcome="succeeded"} 10"#,
        r#"task_attempts_total{kind="replacement",outcome="retrying"} 1"#,
        r#"task_attempts_total{kind="replacement",outcome="dead"} 1"#,
        r#"issuer_requests_total{outcome="unavailable"} 2"#,
        r#"task_wait_seconds_count{kind="replacement"} 2"#,
        r#"task_run_seconds_count{kind="replacement"} 2"#,
        r#"task_end_to_end_seconds_count{kind="add"} 10"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}
