//! What handlers work with.

use std::sync::Arc;

use card_core::accounts::Accounts;
use card_core::engine::{Engine, Store};
use card_core::settings::Settings;
use card_core::tasks::Kind;
use card_core::telemetry::metrics::TASKS_ACCEPTED;
use card_worker::http::shares::Holder;
use metrics::{Counter, counter};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::logins::Logins;
use crate::auth::operator::OperatorToken;
use crate::auth::passwords::Passwords;
use crate::auth::standing;
use crate::auth::tokens::Tokens;
use crate::backlog::Backlog;
use crate::http::client_address::Proxies;
use crate::http::gate::Gate;
use crate::secrets::Secrets;

/// More would not be read faster: the ledger has a few readers.
const PAGES: usize = 32;

/// One API's state, shared by all its handlers.
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) operator: OperatorToken,
    pub(crate) passwords: Passwords,
    pub(crate) logins: Logins,
    /// Changes after sessions ended or users left.
    pub(crate) revocations: watch::Receiver<u64>,
    pub(crate) proxies: Proxies,
    pub(crate) gate: Gate,
    pub(crate) backlog: Backlog,
    /// Pages of events in memory at once, however many streams there are.
    pub(crate) pages: Arc<Semaphore>,
    /// Cancelled when the API stops: what only waits ends at once.
    pub(crate) stop: CancellationToken,
    accepted: [Counter; Kind::ALL.len()],
}

impl App {
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// The threads that hash passwords can't be started.
    pub(crate) fn new(
        store: Store,
        settings: Settings,
        secrets: Secrets,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let (server, auth) = (&settings.server, &settings.auth);
        Ok(Self {
            tokens: Tokens::new(&secrets.signing_key, store.accounts.ledger(), auth.access_lifetime),
            operator: OperatorToken::new(secrets.operator_token),
            passwords: Passwords::new(auth.hashing_limit)?,
            logins: Logins::new(Arc::clone(&store.accounts), auth),
            revocations: standing::pulse(&*store.accounts, stop.clone()),
            proxies: Proxies::new(server),
            engine: store.engine,
            accounts: store.accounts,
            gate: Gate::new(server.max_in_flight, server.max_streams),
            backlog: Backlog::new(server.backlog_limit),
            pages: Arc::new(Semaphore::new(PAGES)),
            stop,
            accepted: Kind::ALL.map(|kind| counter!(TASKS_ACCEPTED, "kind" => kind.as_str())),
            settings,
        })
    }

    /// A task was made durable.
    pub(crate) fn accepted(&self, kind: Kind, holders: &[Holder]) {
        self.backlog.accepted(holders);
        self.accepted[kind as usize].increment(1);
    }
}
