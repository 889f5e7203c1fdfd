//! How often a password may be guessed: budgets for an account, for a network and for both, that all servers share.

use std::sync::Arc;

use card_core::accounts::{Accounts, Admission, Counted, SignInAttempt, SignInLimits, folded};
use card_core::ids::UserId;
use card_core::problem::Code;
use card_core::settings::Auth;

use crate::http::client_address::Network;
use crate::problem::Refusal;

/// Counts failed sign-ins.
pub(crate) struct Logins {
    accounts: Arc<dyn Accounts>,
    limits: SignInLimits,
}

/// A guess under way, counted as wrong.
#[must_use]
pub(crate) struct Attempt<'a> {
    logins: &'a Logins,
    counted: Counted,
}

impl Logins {
    pub(crate) fn new(accounts: Arc<dyn Accounts>, auth: &Auth) -> Self {
        let limits = SignInLimits {
            pair: auth.login_failures_per_minute,
            account: auth.account_failures_per_minute,
            network: auth.address_failures_per_minute,
        };
        Self { accounts, limits }
    }

    /// Begins an attempt. It counts as failed from now on, so that many at once are no way around a budget;
    /// [`Attempt::forgive`] takes it back.
    pub(crate) async fn begin(
        &self,
        name: &str,
        user: Option<UserId>,
        network: Network,
    ) -> Result<Attempt<'_>, Refusal> {
        // What can't be folded is nobody's name; it is counted all the same.
        let name = folded(name).unwrap_or_else(|| name.to_owned());
        let attempt = SignInAttempt { name, user, network: network.to_string() };
        match self.accounts.admit_sign_in(attempt, self.limits).await? {
            Admission::Admitted(counted) => Ok(Attempt { logins: self, counted }),
            Admission::Refused { wait } => {
                let detail = "Too many failed sign-ins for this name, or from this address; wait and try again.";
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(Refusal::new(Code::TooManyAttempts, detail).retry_after(seconds.clamp(1, 60)))
            }
        }
    }
}

impl Attempt<'_> {
    /// It did not fail, or not by a wrong password.
    pub(crate) async fn forgive(self) {
        if let Err(error) = self.logins.accounts.forgive_sign_in(self.counted).await {
            tracing::debug!(%error, "a sign-in that worked stays counted as failed for a minute");
        }
    }
}
