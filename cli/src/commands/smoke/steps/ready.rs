//! The platform says that it is ready, and a worker is alive.

use std::time::Duration;

use tokio::time::Instant;

use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

const LIMIT: Duration = Duration::from_secs(5);

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let missing = match stage.client.ready().await {
            Ok(readiness) if readiness.ready => match stage.client.stats().await?.workers.len() {
                0 => Miss::Wrong("no worker is alive".to_owned()),
                1 => return Ok("1 worker alive".to_owned()),
                workers => return Ok(format!("{workers} workers alive")),
            },
            Ok(readiness) => Miss::Wrong(format!("not ready: {}", readiness.detail)),
            Err(error) => error.into(),
        };
        if Instant::now() >= deadline || stage.stop.is_cancelled() {
            return Err(missing);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
