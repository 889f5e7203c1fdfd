//! The platform in a Kubernetes cluster, as the command line sees it: which cluster is meant, what was deployed there, and
//! the way to its API.
//!
//! What is done to a cluster is `card-kube`'s affair, which objects there are `card-manifests`'; here the two meet the
//! settings, the state directory and the person at the terminal.

mod address;
mod asked;
mod certificate;
mod connect;
mod deployment;
pub mod keda;
mod reach;
mod secrets;
mod table;
pub mod trouble;

use card_kube::inventory::Release;
use serde::{Deserialize, Serialize};

pub use self::address::lasting;
pub use self::asked::{Flags, Outside};
pub use self::certificate::ensure_certificate;
pub use self::connect::{connect, namespace};
pub use self::deployment::Deployment;
pub use self::reach::{Reached, SERVER_PORT, SERVER_SERVICE, deployed, forwarding, reach};
pub use self::secrets::{Address, Addresses, ensure_secrets, mounts_the_secret, operator_token, stamp};
pub use self::table::{Table, words};
use crate::context::Context;

/// Who owns the number of pods that was set with `scale`; the next `up` leaves it unless another one is given.
pub const SCALE_MANAGER: &str = "cardctl-scale";

/// What is deployed, as the inventory in the cluster names it.
#[must_use]
pub fn release(context: &Context) -> Release {
    Release { instance: context.instance.name.clone(), version: card_core::VERSION.to_owned() }
}

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
