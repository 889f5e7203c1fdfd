//! The document that `status` prints in any case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use card_core::fronts::Front;
use card_core::ids::WorkerId;
use card_core::tasks::{QueueStats, Stats, WorkerStats};
use card_core::time::{Instant, format_duration};
use serde::Serialize;

use super::kubernetes::Place;
use super::processes;
use crate::cluster::Remembered;
use crate::output::{Block, Paint, home};
use crate::supervisor::autoscale::View;
use card_core::exit::Exit;

/// How far the platform is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// The API is ready and a worker is alive.
    Ready,
    /// It starts, or part of it is not ready.
    Starting,
    /// It finishes what it has.
    Stopping,
    /// Nothing runs.
    Down,
    /// It can't be reached, or does not say.
    Unreachable,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Document {
    pub(super) instance: Option<String>,
    pub(super) target: String,
    pub(super) url: Option<String>,
    /// URLs by front, if it is known which there are.
    pub(super) fronts: Option<BTreeMap<Front, String>>,
    pub(super) up: bool,
    pub(super) state: State,
    pub(super) detail: Option<String>,
    pub(super) pid: Option<u32>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) api: Api,
    pub(super) workers: Option<Vec<Worker>>,
    pub(super) queue: Option<QueueStats>,
    pub(super) accepted_total: Option<u64>,
    pub(super) settled_total: Option<u64>,
    pub(super) version: Option<String>,
    pub(super) cluster: Option<Remembered>,
    pub(super) processes: Option<Vec<processes::Shown>>,
    pub(super) autoscale: Option<View>,
    /// Where it is deployed, if that is a cluster.
    pub(super) kubernetes: Option<Place>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Api {
    pub(super) ready: bool,
}

/// A worker that lives is heard of every second.
const SILENT: Duration = Duration::from_secs(4);

/// How many workers are alive. One that was killed is counted for a while, as it can't say that it is gone: it is said how
/// long nothing was heard of it.
pub(crate) fn alive(last_seen: impl IntoIterator<Item = Instant>, now: Instant) -> String {
    let silences: Vec<Duration> = last_seen.into_iter().map(|seen| now.since(seen)).collect();
    let silent: Vec<&Duration> = silences.iter().filter(|silence| **silence >= SILENT).collect();
    let all = silences.len();
    match silent.iter().max() {
        None => format!("{all} alive"),
        Some(longest) => {
            format!("{all} alive ({} of them silent for {} s)", silent.len(), longest.as_secs())
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Worker {
    id: WorkerId,
    inflight: u64,
    last_seen: Instant,
}

impl From<WorkerStats> for Worker {
    fn from(WorkerStats { id, inflight, last_seen, .. }: WorkerStats) -> Self {
        Self { id, inflight, last_seen }
    }
}

/// The queue, in words.
fn depth(queue: &QueueStats) -> String {
    let QueueStats { ready, running, retrying, scheduled, dead, .. } = queue;
    // Few use it.
    let scheduled = if *scheduled > 0 { format!(", {scheduled} scheduled") } else { String::new() };
    format!("{ready} ready, {running} running, {retrying} retrying{scheduled}, {dead} dead")
}

impl Document {
    pub(super) fn with_stats(&mut self, stats: Stats) {
        self.workers = Some(stats.workers.into_iter().map(Worker::from).collect());
        self.queue = Some(stats.queue);
        self.accepted_total = Some(stats.accepted_total);
        self.settled_total = Some(stats.settled_total);
    }

    /// A child that is not up makes a platform that answers half a platform.
    pub(super) fn with_children_in_mind(mut self) -> Self {
        let missing = self.processes.as_deref().and_then(processes::missing);
        if let (State::Ready, Some(missing)) = (self.state, missing) {
            self.state = State::Starting;
            self.detail = Some(missing);
        }
        self
    }

    pub(super) const fn exit(&self) -> Exit {
        match self.state {
            State::Ready => Exit::Done,
            State::Starting | State::Stopping => Exit::Pending,
            State::Down | State::Unreachable => Exit::Unknown,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.ready + queue.running + queue.retrying == 0)
    }

    /// One line, the same as long as nothing changed.
    pub(super) fn summary(&self) -> String {
        let mut line = format!("{}: {}", self.name(), self.state.words());
        if let Some(queue) = &self.queue {
            line.push_str(&format!(", {}", depth(queue)));
        }
        if let Some(settled) = self.settled_total {
            line.push_str(&format!(", {settled} settled"));
        }
        line
    }

    pub(super) fn text(&self, paint: Paint) -> Block {
        let state = match self.state {
            State::Ready => paint.good(self.state.words()),
            State::Starting | State::Stopping => paint.warn(self.state.words()),
            State::Down | State::Unreachable => paint.bad(self.state.words()),
        };
        let mut lines = vec![format!("{}: {state}", self.name())];
        // As wide as the longest label that there is.
        let width = if self.autoscale.is_some() { 11 } else { 9 };
        let mut line = |label: &str, value: String| lines.push(format!("  {label:<width$}{value}"));
        if let Some(detail) = &self.detail {
            line("detail", detail.clone());
        }
        if let Some(url) = &self.url {
            line("API", paint.accent(url));
        }
        for (front, url) in self.fronts.iter().flatten() {
            line("front", format!("{} {front}", paint.accent(url)));
        }
        if let Some(pid) = self.pid {
            line("process", format!("{pid}, version {}", self.version.as_deref().unwrap_or("unknown")));
        }
        if let Some(place) = &self.kubernetes {
            line("where", place.line());
        }
        match (&self.cluster, &self.state_dir) {
            (Some(cluster), _) => line("data", format!("Postgres {}, Redis {}", cluster.database, cluster.redis)),
            (None, Some(dir)) if self.kubernetes.is_none() => line("data", home(dir)),
            (None, _) => {}
        }
        if let Some(queue) = &self.queue {
            let age = Duration::from_millis(queue.oldest_age_ms);
            let paused = if queue.paused { paint.warn("  paused") } else { String::new() };
            line("queue", format!("{}; oldest waiting {}{paused}", depth(queue), format_duration(age)));
        }
        if let (Some(accepted), Some(settled)) = (self.accepted_total, self.settled_total) {
            line("totals", format!("{accepted} accepted, {settled} settled"));
        }
        if let Some(workers) = &self.workers {
            line("workers", alive(workers.iter().map(|worker| worker.last_seen), Instant::now()));
        }
        if let Some(view) = &self.autoscale {
            line("autoscale", processes::autoscale(view));
        }
        if let Some(place) = &self.kubernetes {
            lines.extend(place.lines(paint));
        }
        if let Some(children) = &self.processes {
            lines.extend(processes::lines(children, paint));
        }
        Block::of(lines)
    }

    fn name(&self) -> &str {
        self.instance.as_deref().or(self.url.as_deref()).unwrap_or(&self.target)
    }
}

impl State {
    const fn words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "not ready yet",
            Self::Stopping => "stopping",
            Self::Down => "not running",
            Self::Unreachable => "can't be reached",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_not_heard_of_is_counted_and_said() {
        let now = Instant::now();
        let seconds = |ago: i64| Instant::from_micros(now.micros() - ago * 1_000_000);
        assert_eq!(alive([], now), "0 alive");
        assert_eq!(alive([seconds(0), seconds(3)], now), "2 alive");
        assert_eq!(alive([seconds(1), seconds(12), seconds(7)], now), "3 alive (2 of them silent for 12 s)");
        assert_eq!(alive([seconds(-9)], now), "1 alive", "of another clock");
    }
}
