//! Keeps the leases of everything in flight, so that a long step is not handed out twice, and finds out which are lost.

use std::sync::Arc;

use card_core::engine::{EngineError, ErrorKind};
use tokio::time::{Instant, sleep_until, timeout};

use super::Runner;

/// Runs until it is dropped.
pub(super) async fn keep(runner: Arc<Runner>) {
    let lease = runner.worker.settings.lease;
    let (regular, hurried) = (lease / 3, lease / 12);
    let mut next = Instant::now() + regular;
    loop {
        sleep_until(next).await;
        let begun = Instant::now();
        let leases = runner.in_flight.leases();
        if leases.is_empty() {
            next = begun + regular;
            continue;
        }
        let extended = timeout(regular, runner.worker.engine.extend(&leases, lease))
            .await
            .unwrap_or_else(|_| Err(EngineError::new(ErrorKind::Unknown, "the engine did not answer in time")));
        next = begun
            + match extended {
                Ok(lost) => {
                    runner.extensions.worked();
                    // A lease that was settled while this call was under way is lost as well, and nobody's loss.
                    runner.in_flight.lost(&lost);
                    regular
                }
                // Until they run out there is time for a few more tries.
                Err(error) => {
                    runner.extensions.failed(&error);
                    hurried
                }
            };
    }
}
