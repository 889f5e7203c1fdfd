//! CPU-based against backlog-based: the same load on the same platform, once with the autoscaler following the workers'
//! CPU and once following backlog and oldest age, by the same rule and within the same bounds.
//!
//! `bench autoscale [FOLDER]` writes `scaling.json` (every second of both) and `scaling.svg` (the chart of
//! `docs/scaling.md`) into the folder, the present one unless given. `bench autoscale draw FOLDER` draws the chart again
//! from the samples. Needs Postgres and Redis (Debian packages), which are started privately; takes some six minutes.
//!
//! **How.** Arrivals by the clock (open model), each a card replacement of a user of its own: 80 a second, then 600, then
//! 80 again. The simulated issuer answers after 200 ms, so a worker with 32 steps at once does at most 160 a second,
//! whatever its CPU does: one is enough at first and at last, four are needed in between, a fifth to catch up.

mod chart;
mod plan;
mod sample;
mod side;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::sample::Sample;
use self::side::Metric;
use crate::{Failed, report};

const SAMPLES: &str = "scaling.json";
const CHART: &str = "scaling.svg";

/// Both runs: what is written down, and what is drawn.
#[derive(Serialize, Deserialize)]
struct Experiment {
    version: Option<String>,
    /// Of the machine, for everything: generator, platform, Postgres and Redis.
    cores: usize,
    /// Debug builds use several times the CPU.
    release: bool,
    sides: Vec<Side>,
}

/// One run.
#[derive(Serialize, Deserialize)]
struct Side {
    metric: Metric,
    accepted: u64,
    /// How many requests were not accepted, by problem.
    errors: BTreeMap<String, u64>,
    /// From the intended start to the final status, in seconds.
    end_to_end_s: [f64; 3],
    samples: Vec<Sample>,
}

/// `[FOLDER]`, or `draw FOLDER`.
pub(crate) async fn run(arguments: &[String]) -> Result<(), Failed> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (folder, experiment) = match arguments.as_slice() {
        ["draw", folder] => (Path::new(folder), read(Path::new(folder))?),
        [] | [_] => {
            let folder = Path::new(arguments.first().copied().unwrap_or("."));
            std::fs::create_dir_all(folder)?;
            let experiment = measure().await?;
            std::fs::write(folder.join(SAMPLES), written(&experiment)?)?;
            (folder, experiment)
        }
        _ => return Err("bench autoscale [FOLDER] | draw FOLDER".into()),
    };
    for line in table::lines(&experiment) {
        report!("{line}");
    }
    std::fs::write(folder.join(CHART), chart::draw(&experiment))?;
    Ok(())
}

async fn measure() -> Result<Experiment, Failed> {
    let (mut sides, mut version) = (Vec::new(), None);
    for metric in [Metric::Cpu, Metric::Backlog] {
        report!("{}: {} s of load, and what it leaves behind …", metric.name(), plan::load().course().as_secs());
        let (side, of) = side::run(metric).await?;
        sides.push(side);
        version = of;
    }
    let cores = std::thread::available_parallelism()?.get();
    Ok(Experiment { version, cores, release: !cfg!(debug_assertions), sides })
}

fn read(folder: &Path) -> Result<Experiment, Failed> {
    Ok(serde_json::from_str(&std::fs::read_to_string(folder.join(SAMPLES))?)?)
}

/// A line for each second, so that a difference between two experiments can be read.
fn written(experiment: &Experiment) -> Result<String, Failed> {
    let text = serde_json::to_string(experiment)?;
    Ok(text.replace("{\"t\":", "\n{\"t\":").replace("{\"metric\":", "\n{\"metric\":") + "\n")
}
