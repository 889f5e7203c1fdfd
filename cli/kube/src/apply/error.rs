//! Why an apply ended early.

use super::{Applied, Refused};
use crate::ObjectRef;
use crate::cluster::ClusterError;
use crate::inventory::InventoryError;

/// Each says what is known; [`ApplyError::fix`] says what helps.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApplyError {
    #[error("object {index}{named} can't be applied: {reason}")]
    Malformed { index: usize, named: String, reason: String },
    #[error("{object} is given twice")]
    Twice { object: ObjectRef },
    #[error("the cluster has no kind {} in {}, which {object} needs", object.kind, object.api_version())]
    NoSuchKind { object: ObjectRef },
    #[error("{}", listed(refused))]
    Refused { refused: Vec<Refused>, applied: Applied },
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn listed(refused: &[Refused]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl ApplyError {
    /// What helps.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } => None,
            Self::Twice { .. } => Some("leave one of them out".to_owned()),
            Self::NoSuchKind { object } => Some(missing_kind(object)),
            Self::Refused { refused, .. } => refused.first().and_then(Refused::fix),
            Self::Inventory(error) => error.fix(),
            Self::Cluster(error) => error.fix(),
        }
    }

    /// Whether the same apply may work in a moment.
    #[must_use]
    pub fn again_helps(&self) -> bool {
        match self {
            Self::Cluster(error) | Self::Inventory(InventoryError::Cluster(error)) => error.again_helps(),
            _ => false,
        }
    }
}

/// What brings a kind that is not served.
pub(crate) fn missing_kind(object: &ObjectRef) -> String {
    match object.group.as_str() {
        "keda.sh" => "install KEDA first, or leave the autoscaling of workers to an HPA".to_owned(),
        "" | "apps" | "batch" | "autoscaling" | "policy" => "use a newer cluster".to_owned(),
        group => format!("install {group} (its CRDs) first, then run it again"),
    }
}
