//! What handlers work with.

use std::collections::BTreeMap;
use std::sync::Arc;

use card_core::accounts::Accounts;
use card_core::engine::{Engine, Store};
use card_core::settings::Settings;
use card_core::tasks::{Kind, Status};
use card_core::telemetry::metrics::{TASKS_ACCEPTED, TASKS_SETTLED};
use card_kinds::Registry;
use card_serve::shares::Holder;
use metrics::{Counter, counter};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::logins::Logins;
use crate::auth::operator::OperatorToken;
use crate::auth::passwords::Passwords;
use crate::auth::standing;
use crate::auth::tokens::Tokens;
use crate::backlog::Backlog;
use crate::cache::Cache;
use crate::http::client_address::Proxies;
use crate::http::gate::Gate;
use crate::problem::Refusal;
use crate::sampler::Load;
use crate::secrets::Secrets;

/// More would not be read faster: the ledger has a few readers.
const PAGES: usize = 32;

/// One API's state, shared by all its handlers.
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) accounts: Arc<dyn Accounts>,
    /// The kinds that can be asked for here.
    pub(crate) kinds: Registry,
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
    /// Requests under way, for those who decide how many servers there are.
    pub(crate) load: Load,
    /// Answers to reads.
    pub(crate) cache: Cache,
    /// Pages of events in memory at once, however many streams there are.
    pub(crate) pages: Arc<Semaphore>,
    /// Cancelled when the API stops: what only waits ends at once.
    pub(crate) stop: CancellationToken,
    counters: BTreeMap<Kind, Counters>,
}

/// What a server counts of a kind.
struct Counters {
    accepted: Counter,
    cancelled: Counter,
}

impl Counters {
    fn new(kind: Kind) -> Self {
        Self {
            accepted: counter!(TASKS_ACCEPTED, "kind" => kind.to_string()),
            cancelled: counter!(TASKS_SETTLED, "kind" => kind.to_string(), "status" => Status::Cancelled.as_str()),
        }
    }
}

impl App {
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// The threads that hash passwords can't be started.
    pub(crate) fn new(
        store: Store,
        kinds: Registry,
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
            load: Load::default(),
            cache: Cache::new(server.cache_limit),
            pages: Arc::new(Semaphore::new(PAGES)),
            stop,
            counters: kinds.all().map(|one| (one.kind, Counters::new(one.kind))).collect(),
            kinds,
            settings,
        })
    }

    /// A task was made durable.
    pub(crate) fn accepted(&self, kind: Kind, holders: &[Holder]) {
        self.backlog.accepted(holders);
        if let Some(counters) = self.counters.get(&kind) {
            counters.accepted.increment(1);
        }
    }

    /// A task was cancelled: the one end that no worker brings about. It may be of a kind that only others know.
    pub(crate) fn cancelled(&self, kind: Kind) {
        match self.counters.get(&kind) {
            Some(counters) => counters.cancelled.increment(1),
            None => Counters::new(kind).cancelled.increment(1),
        }
    }

    /// A kind that a filter names, at `pointer`.
    ///
    /// # Errors
    /// Neither this process nor the ledger has heard of it: a question that was not meant. Or the ledger does not answer.
    pub(crate) async fn kind(&self, name: Option<&str>, pointer: &str) -> Result<Option<Kind>, Refusal> {
        let Some(name) = name else { return Ok(None) };
        let mut known: Vec<Kind> = self.kinds.all().map(|one| one.kind).collect();
        if !known.iter().any(|kind| kind.as_str() == name) {
            known.extend(self.engine.kinds().await?);
            known.sort_unstable();
            known.dedup();
        }
        let found = known.iter().find(|kind| kind.as_str() == name).copied();
        let names = || known.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| Refusal::invalid(pointer, format!("must be one of {}", names())))
    }
}
