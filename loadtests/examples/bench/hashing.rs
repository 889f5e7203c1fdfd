//! Whether password hashing delays others: accepts alone, and while a hundred logins a second are tried; alternating.

use std::io::Write;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::accepts::SCRIPT;
use crate::platform::{Platform, ms};
use crate::{Failed, report, wrk};

const ROUNDS: usize = 5;
const SECONDS: u32 = 5;
const LOGINS_PER_SECOND: u64 = 100;

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    platform.client.set_paused(true).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let account = json!({"username": "bench", "password": "correct horse battery staple"});
    http.post(format!("{}/api/v1/users", platform.url)).json(&account).send().await?.error_for_status()?;
    let mut tokens = tempfile::NamedTempFile::new()?;
    writeln!(tokens, "{}", platform.token)?;
    let tokens = tokens.path().to_string_lossy().into_owned();
    let script = [SCRIPT, &tokens, "/api/v1/tasks", r#"{"kind":"add","payload":{"x":20,"y":22}}"#];
    // Enough load that a delay would show, and room left for the hashing: a full machine delays everything.
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(wrk::run(&platform.url, 8, SECONDS, &script).await?.p99);
        let stop = CancellationToken::new();
        let logins = tokio::spawn(log_in(http.clone(), platform.url.clone(), account.clone(), stop.clone()));
        beside.push(wrk::run(&platform.url, 8, SECONDS, &script).await?.p99);
        stop.cancel();
        let (tried, answered) = logins.await?;
        report!(
            "accept p99 alone {}, beside logins {} ({tried} tried, {answered} hashed and answered 200)",
            ms(*alone.last().unwrap_or(&Duration::ZERO)),
            ms(*beside.last().unwrap_or(&Duration::ZERO))
        );
    }
    alone.sort_unstable();
    beside.sort_unstable();
    let (alone, beside) = (alone[ROUNDS / 2], beside[ROUNDS / 2]);
    report!(
        "accept p99 beside {LOGINS_PER_SECOND} logins/s: {} against {} ({:+.0} %), medians of {ROUNDS}",
        ms(beside),
        ms(alone),
        100.0 * (beside.as_secs_f64() / alone.as_secs_f64() - 1.0)
    );
    platform.stop().await
}

async fn log_in(
    http: reqwest::Client,
    url: String,
    account: serde_json::Value,
    stop: CancellationToken,
) -> (u64, usize) {
    let mut tick = tokio::time::interval(Duration::from_millis(1000 / LOGINS_PER_SECOND));
    let mut tries = tokio::task::JoinSet::new();
    let mut tried = 0;
    while !stop.is_cancelled() {
        tick.tick().await;
        tried += 1;
        let request = http.post(format!("{url}/api/v1/sessions")).json(&account).timeout(Duration::from_secs(10));
        tries.spawn(async move { request.send().await.is_ok_and(|answer| answer.status().is_success()) });
    }
    let answered = tries.join_all().await.into_iter().filter(|ok| *ok).count();
    (tried, answered)
}
