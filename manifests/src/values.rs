//! What can be said about an installation, on top of an overlay.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Everything that may differ between two installations. What is not said is as the overlay says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// Where to begin.
    pub overlay: Overlay,
    /// The namespace of all of it.
    pub namespace: String,
    /// The value of the label `app.kubernetes.io/instance`.
    pub instance: String,
    /// References by binary (`card-server`, `card-worker`) or component (`postgres`, `redis`, `prometheus`; `server` and
    /// `issuer` both mean `card-server`, `worker` means `card-worker`).
    pub images: BTreeMap<String, String>,
    /// For the platform's own images.
    pub pull_policy: Option<PullPolicy>,
    /// Settings of the platform by name, such as `worker.concurrency`.
    pub settings: BTreeMap<String, String>,
    /// Where Postgres is.
    pub database: Option<Provision>,
    /// Where Redis is.
    pub redis: Option<Provision>,
    /// How many servers; never by backlog.
    pub servers: Option<Scale>,
    /// How many workers.
    pub workers: Option<Scale>,
    /// The API at a host name.
    pub ingress: Option<Ingress>,
    /// The API at a port of each node.
    pub node_port: Option<NodePort>,
    /// The predecessors' surfaces that are served, and the port of each one's Service; none: the port it usually has.
    pub fronts: BTreeMap<String, Option<u16>>,
    /// Whether Prometheus runs beside it.
    pub prometheus: Option<bool>,
    /// The size of Postgres' volume, such as `20Gi`.
    pub storage: Option<String>,
    /// The storage class of Postgres' volume; else the cluster's default.
    pub storage_class: Option<String>,
}

impl Values {
    /// An overlay as it is, in the namespace `cardctl`, as the instance `default`.
    #[must_use]
    pub fn new(overlay: Overlay) -> Self {
        Self {
            overlay,
            namespace: "cardctl".to_owned(),
            instance: "default".to_owned(),
            images: BTreeMap::new(),
            pull_policy: None,
            settings: BTreeMap::new(),
            database: None,
            redis: None,
            servers: None,
            workers: None,
            ingress: None,
            node_port: None,
            fronts: BTreeMap::new(),
            prometheus: None,
            storage: None,
            storage_class: None,
        }
    }
}

/// The sizes that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlay {
    /// A laptop's one node, with Prometheus and a port of the node.
    Minikube,
    /// For some 10 concurrent connections.
    Small,
    /// For some 50.
    Medium,
    /// For 100 and more.
    Large,
    /// For the loss of a node or a zone; Postgres and Redis are elsewhere.
    Ha,
}

impl Overlay {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Minikube, Self::Small, Self::Medium, Self::Large, Self::Ha];

    /// As it is called, and as its directory is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minikube => "minikube",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Ha => "ha",
        }
    }

    /// Whether Postgres runs in the cluster unless something else is said.
    #[must_use]
    pub const fn has_bundled_database(self) -> bool {
        !matches!(self, Self::Ha)
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Overlay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|overlay| overlay.name() == text);
        found.ok_or_else(|| format!("no such overlay: {text:?}; known are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Whether something runs in the cluster or elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provision {
    /// In the namespace.
    Bundled,
    /// Elsewhere, where the URL in the secret says, at a port if it is not the usual one.
    External {
        /// For the network policy, which can't read URLs.
        port: Option<u16>,
    },
}

/// How many pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// So many.
    Fixed(u32),
    /// By an autoscaler that looks at their CPU. Needs metrics-server.
    Cpu(Bounds),
    /// By KEDA, which looks at backlog and age of the oldest task.
    Backlog(Bounds),
}

/// Of an autoscaler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least one.
    pub min: u32,
    /// At least `min`.
    pub max: u32,
}

/// The API at a host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// Such as `cards.example.com`.
    pub host: String,
    /// With the certificate in the secret `card-tls`.
    pub tls: bool,
    /// Which controller; else the cluster's default.
    pub class: Option<String>,
}

/// The API at a port of each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePort {
    /// Not.
    Off,
    /// The cluster chooses.
    Any,
    /// This one.
    At(u16),
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// If the node does not have it.
    IfNotPresent,
    /// The node must have it.
    Never,
    /// Before each start.
    Always,
}

impl PullPolicy {
    /// As Kubernetes calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
            Self::Always => "Always",
        }
    }
}
