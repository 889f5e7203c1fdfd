//! One look at the platform: what its autoscaler sees and wants, and what its workers use.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use card_loadtests::result;
use serde::{Deserialize, Serialize};

use super::plan::TARGET_CPU;
use crate::Failed;
use crate::cluster::Process;
use crate::platform::{Platform, processor};

/// One second of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Seconds since the load began.
    pub(super) t: f64,
    /// Arrivals a second.
    pub(super) offered: f64,
    /// Became final, a second.
    pub(super) completed: f64,
    /// Tasks that are due or running, as the autoscaler saw it.
    pub(super) backlog: Option<u64>,
    /// Seconds that the oldest waits that nobody works on.
    pub(super) oldest_age_s: Option<f64>,
    /// That are ready to work.
    pub(super) workers: usize,
    /// That the autoscaler wants.
    pub(super) wanted: Option<usize>,
    /// Cores that a worker uses, the mean of all.
    pub(super) cpu: Option<f64>,
    /// How many workers CPU alone would want, without an upper bound: `ceil(workers × cpu / target)`.
    pub(super) cpu_wants: Option<usize>,
    /// How busy the whole machine was, from 0 to 1.
    pub(super) machine: Option<f64>,
}

/// Looks, and remembers what processes had used.
pub(super) struct Watcher<'a> {
    platform: &'a Platform,
    used: HashMap<u32, (Instant, Duration)>,
}

/// Of what `cardctl status -o json` says.
#[derive(Deserialize)]
struct Status {
    processes: Vec<Process>,
    autoscale: View,
}

#[derive(Deserialize)]
struct View {
    workers: Option<usize>,
    backlog: Option<u64>,
    oldest_age_ms: Option<u64>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(platform: &'a Platform) -> Self {
        Self { platform, used: HashMap::new() }
    }

    /// Takes in what the generator counted in this second.
    pub(super) async fn look(&mut self, t: f64, second: &result::Sample) -> Result<Sample, Failed> {
        let output = self.platform.command(&["status", "-o", "json"])?.output().await?;
        let Status { processes, autoscale } = serde_json::from_slice(&output.stdout)?;
        let workers = || processes.iter().filter(|process| process.part == "worker" && process.state == "up");
        let cpu = self.cpu(workers().filter_map(|worker| worker.pid));
        let workers = workers().count();
        Ok(Sample {
            t,
            offered: second.offered,
            completed: second.completed,
            backlog: autoscale.backlog,
            oldest_age_s: autoscale.oldest_age_ms.map(|age| age as f64 / 1000.0),
            workers,
            wanted: autoscale.workers,
            cpu,
            cpu_wants: cpu.map(|cpu| wants(workers, cpu)),
            machine: second.machine_cpu,
        })
    }

    /// Cores that these used since they were looked at last; none if none of them was.
    fn cpu(&mut self, workers: impl Iterator<Item = u32>) -> Option<f64> {
        let (mut shares, mut seen) = (Vec::new(), HashMap::new());
        for pid in workers {
            // One that is gone meanwhile has no share.
            let Ok(used) = processor(pid) else { continue };
            let now = Instant::now();
            if let Some((then, before)) = self.used.get(&pid) {
                shares.push(used.saturating_sub(*before).as_secs_f64() / now.duration_since(*then).as_secs_f64());
            }
            seen.insert(pid, (now, used));
        }
        self.used = seen;
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of workers")]
fn wants(workers: usize, cpu: f64) -> usize {
    ((workers as f64 * cpu / TARGET_CPU).ceil() as usize).max(1)
}
