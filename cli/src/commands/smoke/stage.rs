//! What the steps share: the clients, the runs, the users.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use card_client::identities::Identities;
use card_client::orders::Orders;
use card_core::fronts::Front;
use card_core::ids::{RunId, TaskId};
use card_core::tasks::Task;
use card_kinds::add::Addition;
use card_kinds::replacement::CardReplacement;
use tokio_util::sync::CancellationToken;

use super::artifacts::Artifacts;
use super::host::Host;
use super::load::Size;
use super::runner::Miss;
use crate::client::{self, Accept, Caller, Client, SyntheticUser};
use crate::context::{Context, Endpoint};
use crate::failure::Failure;

/// How long one task may take from its order to its end.
pub(super) const TASK_LIMIT: Duration = Duration::from_secs(30);

/// What the steps share.
pub(super) struct Stage {
    pub(super) client: Client,
    endpoint: Endpoint,
    pub(super) issuer: Option<Client>,
    /// Fronts that are on, and the URL of each.
    pub(super) fronts: BTreeMap<Front, String>,
    /// Everything but the load.
    pub(super) run: RunId,
    /// The load: by itself, so that the audit knows every task of it.
    pub(super) load_run: RunId,
    pub(super) seed: u64,
    pub(super) load: Size,
    pub(super) target: String,
    pub(super) ledger: Option<PathBuf>,
    pub(super) identities: Arc<Identities>,
    pub(super) replacements: Orders,
    pub(super) additions: Orders,
    pub(super) is_own: bool,
    pub(super) stop: CancellationToken,
}

impl Stage {
    pub(super) fn new(
        host: &Host,
        seed: u64,
        load: Size,
        artifacts: &Artifacts,
        context: &Context,
    ) -> Result<Self, Failure> {
        let client = client::client(&host.endpoint)?;
        let run = RunId::new();
        Ok(Self {
            issuer: client::issuer(&host.endpoint)?,
            identities: Arc::new(Identities::new(&client, &run, 11)),
            fronts: host.fronts(context),
            load_run: RunId::new(),
            replacements: Orders::of::<CardReplacement>(seed),
            additions: Orders::of::<Addition>(seed),
            ledger: artifacts.ledger(),
            is_own: host.is_own(),
            stop: context.stop.clone(),
            target: host.endpoint.target.clone(),
            client,
            endpoint: host.endpoint.clone(),
            run,
            seed,
            load,
        })
    }

    /// A user that no other step uses.
    pub(super) async fn user(&self) -> Result<SyntheticUser, Miss> {
        Ok(self.identities.next().await?)
    }

    /// Clients with connections of their own.
    pub(super) fn connections(&self, count: usize) -> Result<Vec<Client>, Miss> {
        let clients = (0..count).map(|_| client::to(&self.endpoint.base_url, &self.endpoint));
        Ok(clients.collect::<Result<_, _>>()?)
    }

    /// How an order of a user is sent, in the run of this proof.
    pub(super) fn accept<'a>(&'a self, user: &'a SyntheticUser, key: Option<&'a str>) -> Accept<'a> {
        Accept { caller: Caller::User(&user.access_token), key, run: Some(&self.run) }
    }

    /// Waits for the end of a task; the task as it is when the time is up.
    pub(super) async fn ended(&self, task: TaskId) -> Result<Task, Miss> {
        Ok(self.client.task(task, Some(TASK_LIMIT), Caller::Operator).await?)
    }
}
