//! What an `up` into a cluster asked for, kept in `deployment.json`: the next one that says nothing else means the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use card_core::fronts::Front;
use serde::{Deserialize, Serialize};

/// A store outside of the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// Where it listens, for the network policy; none if its address does not say.
    pub port: Option<u16>,
}

/// As the flags had it; none or empty where they said nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// `--overlay`.
    pub overlay: Option<String>,
    /// `--servers`.
    pub servers: Option<u16>,
    /// `--workers`.
    pub workers: Option<u16>,
    /// `--autoscale`, as `MIN..MAX`.
    pub autoscale: Option<String>,
    /// `--ingress`.
    pub ingress: Option<String>,
    /// `--ingress-class`.
    pub ingress_class: Option<String>,
    /// `--tls`.
    pub tls: bool,
    /// `--front`, with the port of each one's Service.
    pub fronts: BTreeMap<Front, u16>,
    /// `--image`.
    pub image: Vec<String>,
    /// `--binaries`.
    pub binaries: Option<PathBuf>,
    /// `--registry`.
    pub registry: Option<String>,
    /// Postgres is outside of the cluster. Its address is in the cluster's secret, and nowhere else.
    pub database: Option<Outside>,
    /// Redis, likewise.
    pub redis: Option<Outside>,
    /// `--set`.
    pub set: BTreeMap<String, String>,
    /// The references that were deployed, by binary or component: for an `up` that has nothing to build from.
    pub images: BTreeMap<String, String>,
}
