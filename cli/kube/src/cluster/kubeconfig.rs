//! The kubeconfig: read once, chosen from by name, and looked at again before each write.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, NamedContext};

use super::ClusterError;

/// Whether a cluster is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality {
    /// Its API is on loopback, or it is a known tool's for development, at a private address.
    Local,
    /// Anything else.
    Remote,
}

/// What was read, and what was chosen.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) config: Kubeconfig,
    pub(super) context: String,
    pub(super) entry: Entry,
    paths: Vec<PathBuf>,
    by_minikube: bool,
}

/// What a context leads to. Tokens and certificates of users may be renewed; that is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) server: String,
    cluster: String,
    user: String,
    authority: String,
}

impl Snapshot {
    pub(super) fn read(path: Option<&Path>, context: Option<&str>) -> Result<Self, ClusterError> {
        let paths = match path {
            Some(path) => vec![path.to_owned()],
            None => usual_paths(),
        };
        let config = read(&paths)?;
        let known = || config.contexts.iter().map(|context| context.name.clone()).collect::<Vec<_>>();
        let Some(context) = context else {
            return Err(ClusterError::NoContext { known: known(), current: config.current_context.clone() });
        };
        let unknown = || ClusterError::UnknownContext { asked: context.to_owned(), known: known() };
        let named = named(&config, context).ok_or_else(unknown)?;
        let entry =
            entry(&config, named).map_err(|reason| ClusterError::Unusable { context: context.to_owned(), reason })?;
        let by_minikube = made_by_minikube(&config, &entry.cluster);
        Ok(Self { context: context.to_owned(), entry, paths, by_minikube, config })
    }

    pub(super) fn locality(&self) -> Locality {
        let host = self.entry.server.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(ToOwned::to_owned));
        let Some(host) = host else { return Locality::Remote };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = host.parse().ok();
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let known = self.by_minikube || for_development(&self.context);
        if loopback || (known && (address.is_some_and(is_private) || host == "kubernetes.docker.internal")) {
            Locality::Local
        } else {
            Locality::Remote
        }
    }

    /// Whether the context still means what it meant.
    pub(super) fn recheck(&self) -> Result<(), ClusterError> {
        let now = read(&self.paths)?;
        let is = match named(&now, &self.context).map(|named| entry(&now, named)) {
            Some(Ok(entry)) if entry == self.entry => return Ok(()),
            Some(Ok(entry)) => entry.to_string(),
            Some(Err(reason)) => reason,
            None => "gone".to_owned(),
        };
        Err(ClusterError::ContextChanged { context: self.context.clone(), was: self.entry.to_string(), is })
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (cluster {}, user {}, authority {})", self.server, self.cluster, self.user, self.authority)
    }
}

fn usual_paths() -> Vec<PathBuf> {
    let named: Vec<PathBuf> = std::env::var_os("KUBECONFIG")
        .map(|value| std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if !named.is_empty() {
        return named;
    }
    std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect()
}

/// Files of the list that are not there are passed over, as `kubectl` does.
fn read(paths: &[PathBuf]) -> Result<Kubeconfig, ClusterError> {
    let there: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
    if there.is_empty() {
        return Err(ClusterError::NoKubeconfig { looked: paths.to_vec() });
    }
    let mut merged = Kubeconfig::default();
    for path in there {
        let unusable = |error: kube::config::KubeconfigError| ClusterError::Kubeconfig {
            path: path.clone(),
            // The parser shows the lines around a mistake, and those of a kubeconfig are secret.
            reason: error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let next = Kubeconfig::read_from(path).map_err(unusable)?;
        merged = merged.merge(next).map_err(unusable)?;
    }
    Ok(merged)
}

fn named<'a>(config: &'a Kubeconfig, context: &str) -> Option<&'a NamedContext> {
    config.contexts.iter().find(|named| named.name == context)
}

fn entry(config: &Kubeconfig, named: &NamedContext) -> Result<Entry, String> {
    let context = named.context.as_ref().ok_or("it is empty")?;
    let cluster = config.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let cluster = cluster.and_then(|cluster| cluster.cluster.as_ref());
    let cluster = cluster.ok_or_else(|| format!("it names a cluster {:?} that is not there", context.cluster))?;
    let server = cluster.server.clone().ok_or_else(|| format!("the cluster {:?} has no server", context.cluster))?;
    let authority = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => crate::digest(data.as_bytes()),
        (None, Some(path)) => path.clone(),
        (None, None) => "of the system".to_owned(),
    };
    let user = context.user.clone().unwrap_or_default();
    Ok(Entry { server, cluster: context.cluster.clone(), user, authority })
}

/// minikube marks what it wrote, whatever the profile is called.
fn made_by_minikube(config: &Kubeconfig, cluster: &str) -> bool {
    let cluster = config.clusters.iter().find(|named| named.name == cluster).and_then(|named| named.cluster.as_ref());
    let extensions = cluster.and_then(|cluster| cluster.extensions.as_ref());
    extensions.into_iter().flatten().any(|named| named.extension["provider"] == "minikube.sigs.k8s.io")
}

fn for_development(context: &str) -> bool {
    let names = ["minikube", "docker-desktop", "rancher-desktop", "orbstack", "colima"];
    let prefixes = ["kind-", "k3d-", "colima-"];
    names.contains(&context) || prefixes.iter().any(|prefix| context.starts_with(prefix))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}
