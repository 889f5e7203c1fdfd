//! The files of a kubeconfig, read and merged as `kubectl` does.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use card_yaml::{Repeated, decode, documents};

use super::model::{Kubeconfig, NamedUser};
use crate::cluster::ClusterError;

/// More than this is no kubeconfig.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What `$KUBECONFIG` names, or `~/.kube/config`.
pub(super) fn usual_paths() -> Vec<PathBuf> {
    let named: Vec<PathBuf> = std::env::var_os("KUBECONFIG")
        .map(|value| std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if !named.is_empty() {
        return named;
    }
    std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect()
}

/// Files of the list that are not there are passed over. Of two that say the same, the first counts.
pub(super) fn read(paths: &[PathBuf]) -> Result<Kubeconfig, ClusterError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths {
        let unusable = |reason: String| ClusterError::Kubeconfig { path: path.clone(), reason };
        let Some(bytes) = bytes(path).map_err(unusable)? else { continue };
        let mut next = parse(&bytes).map_err(unusable)?;
        resolve(&mut next, path);
        merged = Some(match merged {
            None => next,
            Some(first) => merge(first, next),
        });
    }
    merged.ok_or_else(|| ClusterError::NoKubeconfig { looked: paths.to_vec() })
}

/// None if there is no such file.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(found) if found.is_dir() => return Err("it is a directory".to_owned()),
        Ok(found) if found.len() > LARGEST => return Err("larger than 16 MiB; this is not a kubeconfig".to_owned()),
        Ok(_) => {}
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST), &mut bytes);
    read.map_err(|error| error.to_string())?;
    Ok(Some(bytes))
}

/// The first document of a file, as `kubectl` reads it. Of what can't be read only the line is told: all of it may be secret.
pub(super) fn parse(bytes: &[u8]) -> Result<Kubeconfig, String> {
    let at = |line: usize, what: &str| if line == 0 { what.to_owned() } else { format!("line {line}: {what}") };
    let text = decode(bytes).map_err(|error| at(error.line, "this is not text in UTF-8 or UTF-16"))?;
    let found = documents(&text, Repeated::LastCounts).map_err(|error| at(error.line, "this is not YAML"))?;
    let Some(first) = found.into_iter().next() else { return Ok(Kubeconfig::default()) };
    let config = Kubeconfig::of(first.value)?;
    if !matches!(config.kind.as_str(), "" | "Config") || !matches!(config.api_version.as_str(), "" | "v1") {
        return Err("it is not a kubeconfig: its kind is not Config of v1".to_owned());
    }
    let names = [
        ("clusters", config.clusters.iter().map(|named| &named.name).collect::<Vec<_>>()),
        ("users", config.users.iter().map(|named| &named.name).collect()),
        ("contexts", config.contexts.iter().map(|named| &named.name).collect()),
    ];
    for (list, names) in names {
        let mut seen = HashSet::new();
        if let Some(twice) = names.into_iter().find(|name| !seen.insert(*name)) {
            return Err(format!("{list} has {twice:?} twice"));
        }
    }
    Ok(config)
}

/// Paths count from the directory of the file that says them; a command only if it is a path.
fn resolve(config: &mut Kubeconfig, file: &Path) {
    let directory = file.parent().unwrap_or(Path::new(""));
    let directory = std::path::absolute(if directory.as_os_str().is_empty() { Path::new(".") } else { directory });
    let Ok(directory) = directory else { return };
    let absolute = |path: &mut String| {
        if !path.is_empty()
            && let Some(joined) = directory.join(&*path).to_str()
        {
            *path = joined.to_owned();
        }
    };
    for named in &mut config.clusters {
        absolute(&mut named.cluster.certificate_authority);
    }
    for NamedUser { user, .. } in &mut config.users {
        [&mut user.client_certificate, &mut user.client_key, &mut user.token_file].into_iter().for_each(absolute);
        if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.contains('/')) {
            absolute(&mut exec.command);
        }
    }
}

fn merge(mut first: Kubeconfig, next: Kubeconfig) -> Kubeconfig {
    fn added<T>(first: &mut Vec<T>, next: Vec<T>, name: impl Fn(&T) -> &str) {
        let new: Vec<T> =
            next.into_iter().filter(|item| !first.iter().any(|known| name(known) == name(item))).collect();
        first.extend(new);
    }
    added(&mut first.clusters, next.clusters, |named| &named.name);
    added(&mut first.users, next.users, |named| &named.name);
    added(&mut first.contexts, next.contexts, |named| &named.name);
    if first.current_context.is_empty() {
        first.current_context = next.current_context;
    }
    first
}
