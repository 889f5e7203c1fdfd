//! Whether password hashing delays others: accepts alone, and while a hundred logins a second are tried; alternating.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::adds::Adds;
use crate::platform::{Platform, ms};
use crate::{Failed, report};

const ROUNDS: usize = 5;
const SECONDS: u32 = 5;
const LOGINS_PER_SECOND: u64 = 100;

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    platform.client.set_paused(true).await?;
    let http = card_http::local().build()?;
    let account = json!({"username": "bench", "password": "correct horse battery staple"});
    http.post(format!("{}/api/v1/users", platform.url)).json(&account).send().await?.error_for_status()?;
    let adds = Adds::to(&platform)?;
    for connections in [512, 8] {
        let mut p99 = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            p99[0].push(adds.send(connections, SECONDS).await?.p99);
            // The same requests from the same client, refused before anything is hashed: what the hashing itself adds
            // is the difference to these.
            let unhashed = json!({"username": "bench"});
            for (place, body) in [(1, &unhashed), (2, &account)] {
                let stop = CancellationToken::new();
                let logins = tokio::spawn(log_in(http.clone(), platform.url.clone(), body.clone(), stop.clone()));
                p99[place].push(adds.send(connections, SECONDS).await?.p99);
                stop.cancel();
                let (tried, answered) = logins.await?;
                if place == 2 {
                    report!("{connections} connections: {tried} logins tried, {answered} hashed and answered 200");
                }
            }
        }
        let [alone, unhashed, hashed] = p99.map(|mut all| {
            all.sort_unstable();
            all[ROUNDS / 2]
        });
        let more = |than: Duration| 100.0 * (hashed.as_secs_f64() / than.as_secs_f64() - 1.0);
        report!(
            "{connections} connections, accept p99: alone {}, beside {LOGINS_PER_SECOND} refused requests/s {}, beside {LOGINS_PER_SECOND} logins/s {} ({:+.0} % and {:+.0} %), medians of {ROUNDS}",
            ms(alone),
            ms(unhashed),
            ms(hashed),
            more(alone),
            more(unhashed),
        );
    }
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
