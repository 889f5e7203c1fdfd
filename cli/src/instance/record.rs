//! `instance.json`: who serves, where, and with which settings.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use card_core::files;
use card_core::fronts::Front;
use card_core::settings::{Origin, Resolved, Settings};
use card_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::{Local, Paths, Process};
use crate::cluster::Remembered;
use crate::supervisor::autoscale::Bounds;

/// A setting that the platform was started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// As in `cardctl.toml`.
    pub value: serde_json::Value,
    /// Whether it holds until it is taken out of a file or the environment; a flag only meant that one start.
    pub lasting: bool,
}

/// A child of who serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Such as `worker-2`.
    pub name: String,
    pub process: Process,
}

/// How far who serves has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The port is bound; nothing answers yet.
    Starting,
    /// The API answers.
    Serving,
    /// It finishes what is in flight and ends.
    Stopping,
}

/// What `instance.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Who serves.
    pub process: Process,
    /// How far it has come.
    pub phase: Phase,
    /// Whether it runs in the background and writes the instance's log.
    pub detached: bool,
    /// The API.
    pub url: String,
    /// The simulated card issuer.
    pub issuer_url: Option<String>,
    /// One process, or a supervisor and its children.
    #[serde(default)]
    pub target: Local,
    /// `sqlite` or `cluster`.
    pub engine: String,
    /// How many workers.
    pub workers: usize,
    /// How many servers.
    #[serde(default = "one")]
    pub servers: usize,
    /// Between which bounds the number of workers follows the work.
    #[serde(default)]
    pub autoscale: Option<Bounds>,
    /// Where the cluster is, if the data lies in one.
    #[serde(default)]
    pub cluster: Option<Remembered>,
    /// See [`Remembered::fingerprint`]: of the addresses that its processes were given.
    #[serde(default)]
    pub addresses: Option<String>,
    /// The supervisor's children that have a process now.
    #[serde(default)]
    pub children: Vec<Recorded>,
    /// Where ledger, key and token lie: the instance's directory, or one that is removed at the end.
    pub data_dir: PathBuf,
    /// Whether the data directory is removed at the end.
    pub ephemeral: bool,
    /// Of the program.
    pub version: String,
    /// When it was ready to serve.
    pub started_at: Instant,
    /// What it was started with, but for what only concerns the command line.
    pub settings: BTreeMap<String, Setting>,
}

const fn one() -> usize {
    1
}

impl Record {
    /// Reads it, if there is one that can be read: a half-written one, or one that somebody else wrote, tells nothing.
    #[must_use]
    pub fn load(paths: &Paths) -> Option<Self> {
        serde_json::from_slice(&files::read(&paths.record()).ok()?).ok()
    }

    /// Reads it if the process that it names is alive and ours.
    #[must_use]
    pub fn running(paths: &Paths) -> Option<Self> {
        Self::load(paths).filter(|record| record.process.is_alive() && record.process.is_ours())
    }

    /// The port of the API; 0 if the address has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }

    /// The fronts that it serves, and the URL of each.
    #[must_use]
    pub fn fronts(&self) -> BTreeMap<Front, String> {
        let host = self.url.rsplit_once(':').map_or(self.url.as_str(), |(host, _)| host);
        let port = |front: Front| self.settings.get(front.setting())?.value.as_u64().filter(|port| *port > 0);
        Front::ALL.into_iter().filter_map(|front| Some((front, format!("{host}:{}", port(front)?)))).collect()
    }

    /// Writes it in one piece.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn store(&self, paths: &Paths) -> io::Result<()> {
        files::replace(&paths.record(), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn remove(paths: &Paths) -> io::Result<()> {
        match std::fs::remove_file(paths.record()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The settings that a platform is started with, as the record keeps them.
    #[must_use]
    pub fn settings_of(resolved: &Resolved) -> BTreeMap<String, Setting> {
        let lasting = |key: &str| matches!(resolved.origins.get(key), Some(Origin::File(_) | Origin::Environment(_)));
        flat(&resolved.settings)
            .into_iter()
            .filter(|(key, _)| !matches!(key.as_str(), "instance" | "target"))
            .map(|(key, value)| (key.clone(), Setting { value, lasting: lasting(&key) }))
            .collect()
    }
}

/// Every setting by its dotted name.
#[must_use]
pub fn flat(settings: &Settings) -> BTreeMap<String, serde_json::Value> {
    let mut flat = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(settings) {
        flatten("", value, &mut flat);
    }
    flat
}

fn flatten(prefix: &str, value: serde_json::Value, into: &mut BTreeMap<String, serde_json::Value>) {
    match value {
        serde_json::Value::Object(inner) => {
            for (key, value) in inner {
                let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&key, value, into);
            }
        }
        value => {
            into.insert(prefix.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_there_were_children_is_read() {
        let old = r#"{"process":{"pid":1,"started":2},"phase":"serving","detached":true,"url":"http://127.0.0.1:7400",
            "issuer_url":null,"engine":"sqlite","workers":3,"data_dir":"/x","ephemeral":false,"version":"0.1.0",
            "started_at":"2026-11-20T14:12:54.84245Z","settings":{}}"#;
        let record: Record = serde_json::from_str(old).unwrap();
        assert_eq!((record.target, record.workers, record.servers), (Local::Embedded, 3, 1));
        assert_eq!((record.autoscale, record.cluster, record.children), (None, None, Vec::new()));
    }
}
