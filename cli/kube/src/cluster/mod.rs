//! The connection to a cluster: which one, whether it is still that one, and calls with a deadline.
//!
//! A context is always named, never just the current one. What is local is used without asking; anything else must be
//! allowed by name. **Before each write** the cluster is asked who it is, and the kubeconfig is looked at again: a write
//! never goes to another cluster than the one that was chosen.

mod call;
mod connection;
mod error;
mod identity;
mod kinds;
mod kubeconfig;
mod reason;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::RwLock;

pub(crate) use self::call::{Answer, Call};
use self::connection::Connection;
pub use self::error::ClusterError;
pub use self::identity::Identity;
pub(crate) use self::kinds::{Kind, Kinds};
pub use self::kubeconfig::Locality;
use self::kubeconfig::Snapshot;
pub use self::reason::reason;
use crate::owner::Owner;

/// How long one call may take, unless told otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Which cluster is meant.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The kubeconfig; None: what `$KUBECONFIG` names, or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context. None is an error that names those there are.
    pub context: Option<String>,
    /// Where the platform lives.
    pub namespace: String,
    /// Who writes.
    pub owner: Owner,
    /// Contexts that may be used although they are not local.
    pub allowed: Vec<String>,
    /// For one call; None: [`TIMEOUT`].
    pub timeout: Option<Duration>,
}

/// A cluster that answered and said who it is. Clones are the same connection.
#[derive(Clone)]
pub struct Cluster {
    link: Arc<Link>,
}

struct Link {
    client: Client,
    namespace: String,
    owner: Owner,
    server: String,
    /// None: not from a kubeconfig.
    snapshot: Option<Snapshot>,
    /// None: a client of a test, or in a pod.
    connection: Option<Connection>,
    identity: Identity,
    timeout: Duration,
    kinds: RwLock<Option<Arc<Kinds>>>,
}

/// Makes aws-lc the provider of TLS of this process, unless there is one already. Safe to call any number of times.
pub fn install_tls() {
    // An error says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Cluster {
    /// Reads the kubeconfig once, chooses the context, and asks the cluster who it is.
    ///
    /// # Errors
    /// See [`ClusterError`]; nothing was written.
    pub async fn connect(options: &Connect) -> Result<Self, ClusterError> {
        Self::connect_with(options, &|name| std::env::var(name).ok()).await
    }

    /// With another environment, as far as that says where a proxy is.
    async fn connect_with(
        options: &Connect,
        variable: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<Self, ClusterError> {
        install_tls();
        let snapshot = Snapshot::read(options.kubeconfig.as_deref(), options.context.as_deref(), variable)?;
        let context = snapshot.context.clone();
        let server = snapshot.server.to_string();
        if let Some(why) = snapshot.why_remote().filter(|_| !options.allowed.contains(&context)) {
            return Err(ClusterError::NotAllowed { context, server, why: why.to_owned() });
        }
        let unusable = |reason: String| ClusterError::Unusable { context: context.clone(), reason };
        let connection = Connection::of(&snapshot).map_err(unusable)?;
        let client = Client::new(connection.clone(), options.namespace.clone());
        let link = Link {
            client,
            namespace: options.namespace.clone(),
            owner: options.owner.clone(),
            identity: Identity { server: server.clone(), uid: None },
            server,
            snapshot: Some(snapshot),
            connection: Some(connection),
            timeout: options.timeout.unwrap_or(TIMEOUT),
            kinds: RwLock::new(None),
        };
        Self::of(link).await
    }

    /// Of a client that exists already; such as one of a test, or in a pod.
    ///
    /// # Errors
    /// The cluster does not say who it is.
    pub async fn of_client(client: Client, namespace: &str, owner: Owner) -> Result<Self, ClusterError> {
        let server = "the API server".to_owned();
        let link = Link {
            client,
            namespace: namespace.to_owned(),
            owner,
            identity: Identity { server: server.clone(), uid: None },
            server,
            snapshot: None,
            connection: None,
            timeout: TIMEOUT,
            kinds: RwLock::new(None),
        };
        Self::of(link).await
    }

    async fn of(mut link: Link) -> Result<Self, ClusterError> {
        link.identity = link.who().await?;
        Ok(Self { link: Arc::new(link) })
    }

    /// The same cluster, with another namespace.
    ///
    /// # Errors
    /// The cluster does not say who it is.
    pub async fn in_namespace(&self, namespace: &str) -> Result<Self, ClusterError> {
        let link = &self.link;
        let other = Link {
            client: link.client.clone(),
            namespace: namespace.to_owned(),
            owner: link.owner.clone(),
            server: link.server.clone(),
            snapshot: link.snapshot.clone(),
            connection: link.connection.clone(),
            identity: link.identity.clone(),
            timeout: link.timeout,
            kinds: RwLock::new(None),
        };
        Self::of(other).await
    }

    /// For what this type has no call for: logs, watches, port-forwards.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.link.client
    }

    /// Where the platform lives.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.link.namespace
    }

    /// Who writes.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.link.owner
    }

    /// The URL of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.link.server
    }

    /// The name of the context; None if the connection is not from a kubeconfig.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.link.snapshot.as_ref().map(|snapshot| snapshot.context.as_str())
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn locality(&self) -> Locality {
        self.link.snapshot.as_ref().map_or(Locality::Local, Snapshot::locality)
    }

    /// Who it said that it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.link.identity
    }

    /// Verifies that this is still the cluster that was connected to, and that the kubeconfig still means it. Each write
    /// of this package does that by itself.
    ///
    /// # Errors
    /// Another cluster, another entry; or it could not be found out.
    pub async fn recheck(&self) -> Result<(), ClusterError> {
        if let Some(snapshot) = &self.link.snapshot {
            snapshot.recheck()?;
        }
        let found = self.link.who().await?;
        if found == self.link.identity {
            return Ok(());
        }
        Err(ClusterError::Changed { was: self.link.identity.clone(), is: found })
    }

    /// What the cluster serves; asked once.
    pub(crate) async fn kinds(&self) -> Result<Arc<Kinds>, ClusterError> {
        if let Some(kinds) = self.link.kinds.read().await.as_ref() {
            return Ok(Arc::clone(kinds));
        }
        self.rediscover().await
    }

    /// What the cluster serves by now.
    pub(crate) async fn rediscover(&self) -> Result<Arc<Kinds>, ClusterError> {
        let kinds = Arc::new(Kinds::discover(&self.link).await?);
        *self.link.kinds.write().await = Some(Arc::clone(&kinds));
        Ok(kinds)
    }

    /// A call that changes nothing.
    pub(crate) async fn read(&self, call: Call) -> Result<Answer, ClusterError> {
        self.link.send(call).await
    }

    /// The object, or None if there is none.
    pub(crate) async fn find(&self, call: Call) -> Result<Option<serde_json::Value>, ClusterError> {
        match self.read(call).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A call that changes something: only if this is still the same cluster.
    pub(crate) async fn write(&self, call: Call) -> Result<Answer, ClusterError> {
        self.recheck().await?;
        self.link.send(call).await
    }
}
