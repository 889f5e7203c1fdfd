//! `deployment.json`: where an instance was deployed to. Written before anything is, so that an `up` that was killed can be
//! gone on with, or taken down; removed when nothing of it is left.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use card_core::files;
use card_core::fronts::Front;
use card_core::time::Instant;
use card_kube::cluster::Cluster;
use serde::{Deserialize, Serialize};

use super::{Flags, Kind};
use crate::instance::Paths;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Which target it was.
    pub kind: Kind,
    /// The kubeconfig, if it was not the usual one.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// The context in it.
    pub context: String,
    /// The API server's address then.
    pub server: String,
    /// Tells the cluster from every other one, whatever its address: the UID of its namespace `kube-system`; empty where that may not be
    /// read.
    pub cluster_id: String,
    /// Where the objects are.
    pub namespace: String,
    /// How large it was asked to be.
    pub overlay: String,
    /// The image that a load test in the cluster runs.
    #[serde(default)]
    pub generator: Option<String>,
    /// What was asked for.
    #[serde(default)]
    pub asked: Flags,
    /// Of the program.
    pub version: String,
    /// When it was last deployed.
    pub deployed_at: Instant,
}

impl Deployment {
    /// What is about to be deployed to a cluster.
    #[must_use]
    pub fn of(kind: Kind, cluster: &Cluster, overlay: &str) -> Self {
        Self {
            kind,
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(Into::into),
            context: cluster.context().unwrap_or_default().to_owned(),
            server: cluster.server().to_owned(),
            cluster_id: cluster.identity().uid.clone().unwrap_or_default(),
            namespace: cluster.namespace().to_owned(),
            overlay: overlay.to_owned(),
            generator: None,
            asked: Flags::default(),
            version: card_core::VERSION.to_owned(),
            deployed_at: Instant::now(),
        }
    }

    /// Where the instance is deployed, if it is. One that can't be read tells nothing.
    #[must_use]
    pub fn load(paths: &Paths) -> Option<Self> {
        serde_json::from_slice(&files::read(&paths.deployment()).ok()?).ok()
    }

    /// With what the last `up` asked for, if it was here: objects of a file change what runs, not what `up` means.
    #[must_use]
    pub fn with_what_is_known(self, paths: &Paths) -> Self {
        match Self::load(paths).filter(|last| last.kind == self.kind && last.cluster_id == self.cluster_id) {
            Some(Self { asked, generator, overlay, .. }) => Self { asked, generator, overlay, ..self },
            None => self,
        }
    }

    /// The fronts that were asked for, and what programs in the cluster call each.
    #[must_use]
    pub fn fronts(&self) -> BTreeMap<Front, String> {
        let url = |front: &Front, port: &u16| format!("http://server-{front}.{}.svc:{port}", self.namespace);
        self.asked.fronts.iter().map(|(front, port)| (*front, url(front, port))).collect()
    }

    /// Whether a cluster is the one that it was deployed to. Where the cluster does not say who it is, its address counts.
    #[must_use]
    pub fn is_of(&self, cluster: &Cluster) -> bool {
        let identity = cluster.identity();
        match &identity.uid {
            Some(uid) if !self.cluster_id.is_empty() => *uid == self.cluster_id,
            _ => identity.server == self.server,
        }
    }

    /// Writes it in one piece.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn store(&self, paths: &Paths) -> io::Result<()> {
        paths.create()?;
        files::replace(&paths.deployment(), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn remove(paths: &Paths) -> io::Result<()> {
        match std::fs::remove_file(paths.deployment()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
