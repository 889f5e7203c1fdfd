//! The kubeconfig: read once, chosen from by name, and looked at again before each write.

mod locality;
mod model;
mod read;

use std::path::{Path, PathBuf};

pub use self::locality::Locality;
pub(super) use self::locality::is_this_machine;
pub(super) use self::model::{Cluster, Exec, User};
use self::model::{Kubeconfig, NamedContext};
use super::ClusterError;
use super::connection::{Proxy, Server};

/// What was read, and what was chosen.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) context: String,
    pub(super) cluster: Cluster,
    pub(super) user: User,
    pub(super) server: Server,
    pub(super) proxy: Option<Proxy>,
    entry: Entry,
    paths: Vec<PathBuf>,
    why_remote: Option<String>,
}

/// What a context leads to. Tokens and certificates of users may be renewed; that is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    server: String,
    cluster: String,
    user: String,
    authority: String,
    /// How it is known and reached, where that is said.
    way: Vec<String>,
}

impl Snapshot {
    pub(super) fn read(
        path: Option<&Path>,
        context: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ClusterError> {
        let paths = match path {
            // One that was remembered may be a list, as the variable is.
            Some(path) => std::env::split_paths(path).filter(|path| !path.as_os_str().is_empty()).collect(),
            None => read::usual_paths(),
        };
        let config = read::read(&paths)?;
        let known = || config.contexts.iter().map(|context| context.name.clone()).collect::<Vec<_>>();
        let Some(context) = context else {
            let current = Some(config.current_context.clone()).filter(|current| !current.is_empty());
            return Err(ClusterError::NoContext { known: known(), current });
        };
        let unknown = || ClusterError::UnknownContext { asked: context.to_owned(), known: known() };
        let named = named(&config, context).ok_or_else(unknown)?;
        let unusable = |reason: String| ClusterError::Unusable { context: context.to_owned(), reason };
        let (entry, cluster, server) = entry(&config, named).map_err(unusable)?;
        let proxy = Proxy::choose(&server, &cluster.proxy_url, variable).map_err(unusable)?;
        let user = config.users.iter().find(|user| user.name == named.context.user);
        let user = user.map(|named| named.user.clone()).unwrap_or_default();
        let why_remote = locality::why_remote(&cluster, &server, proxy.as_ref(), context);
        Ok(Self { context: context.to_owned(), entry, paths, cluster, user, server, proxy, why_remote })
    }

    pub(super) fn locality(&self) -> Locality {
        if self.why_remote.is_none() { Locality::Local } else { Locality::Remote }
    }

    /// Why it is not taken to be on this machine.
    pub(super) fn why_remote(&self) -> Option<&str> {
        self.why_remote.as_deref()
    }

    /// Whether the context still means what it meant.
    pub(super) fn recheck(&self) -> Result<(), ClusterError> {
        let now = read::read(&self.paths)?;
        let is = match named(&now, &self.context).map(|named| entry(&now, named)) {
            Some(Ok((entry, ..))) if entry == self.entry => return Ok(()),
            Some(Ok((entry, ..))) => entry.to_string(),
            Some(Err(reason)) => reason,
            None => "gone".to_owned(),
        };
        Err(ClusterError::ContextChanged { context: self.context.clone(), was: self.entry.to_string(), is })
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server, cluster, user, authority, way } = self;
        write!(f, "{server} (cluster {cluster}, user {user}, authority {authority}")?;
        way.iter().try_for_each(|word| write!(f, ", {word}"))?;
        f.write_str(")")
    }
}

fn named<'a>(config: &'a Kubeconfig, context: &str) -> Option<&'a NamedContext> {
    config.contexts.iter().find(|named| named.name == context)
}

fn entry(config: &Kubeconfig, named: &NamedContext) -> Result<(Entry, Cluster, Server), String> {
    let context = &named.context;
    if context.cluster.is_empty() {
        return Err("it names no cluster".to_owned());
    }
    let cluster = config.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let cluster = cluster.ok_or_else(|| format!("it names a cluster {:?} that does not exist", context.cluster))?;
    let cluster = cluster.cluster.clone();
    if cluster.server.is_empty() {
        return Err(format!("the cluster {:?} has no server", context.cluster));
    }
    let server =
        Server::parse(&cluster.server).map_err(|reason| format!("the cluster {:?}: {reason}", context.cluster))?;
    let authority = match (cluster.certificate_authority_data.as_slice(), cluster.certificate_authority.as_str()) {
        ([], "") => "of the system".to_owned(),
        ([], path) => path.to_owned(),
        (data, _) => crate::digest(data),
    };
    let mut way = Vec::new();
    if !cluster.tls_server_name.is_empty() {
        way.push(format!("known as {}", cluster.tls_server_name));
    }
    if cluster.insecure_skip_tls_verify {
        way.push("not verified".to_owned());
    }
    if !cluster.proxy_url.is_empty() {
        way.push(format!("through {}", Proxy::parse(&cluster.proxy_url, "proxy-url")?));
    }
    let entry = Entry {
        server: server.to_string(),
        cluster: context.cluster.clone(),
        user: context.user.clone(),
        authority,
        way,
    };
    Ok((entry, cluster, server))
}
