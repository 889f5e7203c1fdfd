//! The platform in a Kubernetes cluster, as the command line sees it: which cluster is meant, what was deployed there, and
//! the way to its API.
//!
//! What is done to a cluster is `card-kube`'s affair, which objects there are `card-manifests`'; here the two meet the
//! settings, the state directory and the person at the terminal.

mod connect;
mod deployment;
mod reach;
mod secrets;
pub mod trouble;

use serde::{Deserialize, Serialize};

pub use self::connect::connect;
pub use self::deployment::Deployment;
pub use self::reach::{Reached, SERVER_PORT, SERVER_SERVICE, forwarding, reach};
pub use self::secrets::{External, ensure_secrets, operator_token};

/// Which kind of cluster, as `--target` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The one that minikube runs: started if need be, and images are loaded into it.
    Minikube,
    /// Any that a kubeconfig names.
    Kube,
}

impl Kind {
    /// As `--target` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minikube => "minikube",
            Self::Kube => "kube",
        }
    }
}
