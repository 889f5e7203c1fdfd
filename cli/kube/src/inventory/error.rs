//! Why the inventory was not used.

use crate::cluster::ClusterError;

/// Each says what is known; [`InventoryError::fix`] says what helps.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InventoryError {
    #[error("the namespace {namespace} has a ConfigMap `cardctl` that is not an inventory of cardctl")]
    NotOurs { namespace: String },
    #[error("the namespace {namespace} holds the instance {found:?}, not {asked:?}")]
    OtherInstance { namespace: String, found: String, asked: String },
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl InventoryError {
    /// What helps.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::NotOurs { .. } => Some("use another namespace".to_owned()),
            Self::OtherInstance { found, .. } => {
                Some(format!("use another namespace, or that instance: --instance {found}"))
            }
            Self::Cluster(error) => error.fix(),
        }
    }
}
