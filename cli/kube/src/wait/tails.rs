//! The ends of logs of containers that ended or do not get ready.

use std::collections::HashSet;

use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::gathered::Gathered;
use super::watching::Change;
use crate::cluster::reason;
use crate::diagnose::LogTail;
use crate::logs::plain;

const LINES: i64 = 20;
const BYTES: i64 = 64 * 1024;

/// Whose log is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    /// Changes when there is something new to read.
    pub(super) key: String,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    /// Of the run before the present one.
    pub(super) previous: bool,
}

pub(super) struct Tails {
    client: Client,
    changes: UnboundedSender<Change>,
    asked: HashSet<String>,
    tasks: JoinSet<()>,
}

impl Tails {
    pub(super) fn new(client: Client, changes: UnboundedSender<Change>) -> Self {
        Self { client, changes, asked: HashSet::new(), tasks: JoinSet::new() }
    }

    /// Reads what was not read yet.
    pub(super) fn fetch(&mut self, wanted: &[Wanted], gathered: &mut Gathered) {
        while self.tasks.try_join_next().is_some() {}
        for one in wanted {
            if gathered.has_tail(&one.key) || !self.asked.insert(one.key.clone()) {
                continue;
            }
            let (client, changes, one) = (self.client.clone(), self.changes.clone(), one.clone());
            self.tasks.spawn(async move {
                let tail = read(client, &one).await;
                let _ = changes.send(Change::Tail(one.key, tail));
            });
        }
    }
}

async fn read(client: Client, wanted: &Wanted) -> Option<LogTail> {
    let pods: Api<Pod> = Api::namespaced(client, &wanted.namespace);
    let written = match end(&pods, wanted, wanted.previous).await {
        // The node forgets the run before the last; then the present one may say the same.
        Err(_) if wanted.previous => end(&pods, wanted, false).await,
        written => written,
    };
    match written {
        Ok(bytes) => {
            // Programs that crash write anything; not all of it is UTF-8.
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
            Some(LogTail { pod: wanted.pod.clone(), container: wanted.container.clone(), lines })
        }
        Err(error) => {
            tracing::debug!(pod = wanted.pod, container = wanted.container, error, "the log can't be read");
            None
        }
    }
}

async fn end(pods: &Api<Pod>, wanted: &Wanted, previous: bool) -> Result<Vec<u8>, String> {
    let asked = LogParams {
        container: Some(wanted.container.clone()),
        tail_lines: Some(LINES),
        limit_bytes: Some(BYTES),
        previous,
        ..LogParams::default()
    };
    let mut stream = pods.log_stream(&wanted.pod, &asked).await.map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    Ok(bytes)
}
