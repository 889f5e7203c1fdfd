//! Who a cluster is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Call, ClusterError, Kind, Link};

/// Says whether two connections lead to the same cluster. A cluster that was deleted and made anew at the same address is
/// another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The URL of the API server.
    pub server: String,
    /// Of the namespace `kube-system`; None if we may not read it. Then the address is all there is.
    pub uid: Option<String>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.uid {
            Some(uid) => write!(f, "{} (cluster {uid})", self.server),
            None => write!(f, "{}", self.server),
        }
    }
}

impl Link {
    /// Asks.
    pub(super) async fn who(&self) -> Result<Identity, ClusterError> {
        let uid = match self.send(Call::get(&Kind::namespaces(), None, "kube-system").only_metadata()).await {
            Ok(answer) => answer.body["metadata"]["uid"].as_str().map(ToOwned::to_owned),
            // Who may only use a namespace of their own may not see this one.
            Err(ClusterError::Forbidden { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Identity { server: self.server.clone(), uid })
    }
}
