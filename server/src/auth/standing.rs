//! Whether a caller who was let in may still be told things: a stream and a long-poll outlive the check at their beginning.

use std::sync::Arc;
use std::time::Duration;

use card_core::accounts::Accounts;
use card_core::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use crate::app::App;

/// Revocations are passed on to all that stream at most this often, however many there are.
const PULSE: Duration = Duration::from_millis(250);

/// The standing of one caller.
pub(crate) struct Standing {
    app: Arc<App>,
    caller: Caller,
    pulse: watch::Receiver<u64>,
}

impl Standing {
    pub(crate) fn of(app: Arc<App>, caller: Caller) -> Self {
        let pulse = app.revocations.clone();
        Self { app, caller, pulse }
    }

    /// Whether the caller's token would be accepted now. Not if that can't be known.
    pub(crate) async fn holds(&self) -> bool {
        match self.caller {
            Caller::Operator => true,
            Caller::User(user) => {
                user.expires_at > Instant::now()
                    && matches!(self.app.accounts.is_revoked(user.id, user.session).await, Ok(false))
            }
        }
    }

    /// Returns when it would not be any more. Cancel safe.
    pub(crate) async fn lost(&mut self) {
        let Caller::User(user) = self.caller else { return std::future::pending().await };
        loop {
            self.pulse.mark_unchanged();
            if !self.holds().await {
                return;
            }
            let left = user.expires_at.since(Instant::now());
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                changed = self.pulse.changed() => if changed.is_err() {
                    // The platform stops, which ends everything that waits by itself.
                    tokio::time::sleep(left).await;
                }
            }
        }
    }
}

/// Passes revocations on, some a second at most, until `stop`.
pub(crate) fn pulse(accounts: &dyn Accounts, stop: CancellationToken) -> watch::Receiver<u64> {
    let mut heard = accounts.revocations();
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(heard.changed()).await {
            sender.send_modify(|count| *count += 1);
            if stop.run_until_cancelled(tokio::time::sleep(PULSE)).await.is_none() {
                return;
            }
        }
    });
    receiver
}
