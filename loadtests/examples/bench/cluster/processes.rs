//! The platform's processes, as its supervisor knows them.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Failed;
use crate::platform::Platform;

/// One of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Process {
    /// Such as `worker-2`.
    pub(crate) name: String,
    pub(crate) part: String,
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
}

/// Of what `cardctl status -o json` says.
#[derive(Deserialize)]
struct Status {
    processes: Vec<Process>,
}

impl Platform {
    /// Each as it is now.
    pub(crate) async fn processes(&self) -> Result<Vec<Process>, Failed> {
        let output = self.command(&["status", "-o", "json"])?.output().await?;
        let status: Status = serde_json::from_slice(&output.stdout)?;
        Ok(status.processes)
    }

    /// The workers, all of them up: one that was killed is started again.
    pub(crate) async fn workers(&self, wanted: usize) -> Result<Vec<Process>, Failed> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut workers = self.processes().await?;
            workers.retain(|process| process.part == "worker" && process.state == "up" && process.pid.is_some());
            if workers.len() == wanted {
                return Ok(workers);
            }
            if Instant::now() > deadline {
                return Err(format!("{} of {wanted} workers are up after half a minute", workers.len()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Another number of servers and workers.
    pub(crate) async fn scale(&self, servers: usize, workers: usize) -> Result<(), Failed> {
        let numbers = [format!("servers={servers}"), format!("workers={workers}")];
        let output = self.command(&["scale", &numbers[0], &numbers[1]])?.output().await?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
    }
}
