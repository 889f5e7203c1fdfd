//! The proof that a platform is ready: the API answers, a worker is alive, and one `add` went all the way through, if its
//! workers do that kind.

use std::time::Duration;

use card_client::{Accept, Caller, Client, ClientError, Order};
use card_core::problem::Code;
use card_core::tasks::{Stats, Status};
use card_kinds::TaskKind;
use card_kinds::add::{Add, Addition};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::client;
use crate::context::Endpoint;
use crate::failure::Failure;
use card_core::exit::Exit;

/// How the last step was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The `add` succeeded.
    Added,
    /// Others wait before it, and are being worked off.
    WorkedOff { waiting: u64 },
    /// Claiming is paused, so nothing can go through.
    Paused,
    /// The workers do other kinds than `add`, so none was tried.
    OtherKinds,
}

/// Proves it within the limit, with workers that do these kinds: `worker.kinds`. Cancel safe.
///
/// # Errors
/// What was not there when the time was up (exit 124), or what can't become right by waiting.
pub async fn prove(endpoint: &Endpoint, kinds: &str, limit: Duration) -> Result<Proof, Failure> {
    let deadline = Instant::now() + limit;
    let client = client::client(endpoint)?;
    let mut missing = "the API does not answer".to_owned();
    match timeout_at(deadline, steps(&client, does_add(kinds), &mut missing)).await {
        Ok(outcome) => outcome.map_err(|error| refused(endpoint, &error)),
        Err(_) => Err(Failure::new(
            "not-ready",
            Exit::Timeout,
            // What is left of a longer limit: microseconds of it are nobody's concern.
            format!("the platform was not ready within {} ms", limit.as_millis()),
        )
        .evidence(missing)
        .fix("cardctl logs --level warn, or wait longer with --wait-timeout")),
    }
}

/// Whether workers that were told these kinds do `add`.
fn does_add(kinds: &str) -> bool {
    kinds.is_empty() || kinds.split(',').any(|name| name.trim() == Addition::KIND.as_str())
}

async fn steps(client: &Client, does_add: bool, missing: &mut String) -> Result<Proof, ClientError> {
    let mut pace = Pace::default();
    loop {
        match client.ready().await {
            Ok(readiness) if readiness.ready => break,
            Ok(readiness) => *missing = format!("the API reports that it is not ready: {}", readiness.detail),
            Err(error) => *missing = wait_out(error)?,
        }
        pace.wait().await;
    }
    let before = loop {
        match client.stats().await {
            Ok(stats) if !stats.workers.is_empty() => break stats,
            Ok(_) => "no worker is alive".clone_into(missing),
            Err(error) => *missing = wait_out(error)?,
        }
        pace.wait().await;
    };
    if before.queue.paused {
        return Ok(Proof::Paused);
    }
    if !does_add {
        return Ok(Proof::OtherKinds);
    }
    add(client, &before, missing, pace).await
}

/// A backlog is served in order, so behind a long one the `add` waits for minutes: that others settle proves as much.
async fn add(client: &Client, before: &Stats, missing: &mut String, mut pace: Pace) -> Result<Proof, ClientError> {
    const SLICE: Duration = Duration::from_millis(250);
    let order = Order::of::<Addition>(&Add { x: 20, y: 22 });
    let mut task = None;
    loop {
        match task {
            None => match client.accept(&order, Accept { caller: Caller::Operator, key: None, run: None }).await {
                Ok(accepted) => task = Some(accepted.id),
                Err(error) => *missing = wait_out(error)?,
            },
            Some(id) => match client.task(id, Some(SLICE), Caller::Operator).await {
                Ok(task) if task.status == Status::Succeeded => return Ok(Proof::Added),
                Ok(task) => *missing = format!("the test task ({id}) is {}", task.status),
                Err(error) => *missing = wait_out(error)?,
            },
        }
        let now = client.stats().await;
        if let Ok(now) = now
            && now.queue.ready > 0
            && now.settled_total > before.settled_total
        {
            return Ok(Proof::WorkedOff { waiting: now.queue.ready });
        }
        if task.is_none() {
            pace.wait().await;
        }
    }
}

/// What waiting can cure becomes the reason that is shown when the time is up.
fn wait_out(error: ClientError) -> Result<String, ClientError> {
    let curable = match &error {
        ClientError::Unreachable { .. } | ClientError::NoAnswer { .. } => true,
        ClientError::Gateway(answer) => answer.is_retryable() || answer.is_unknown(),
        ClientError::Refused { problem, .. } => {
            problem.status == 503 && !matches!(problem.code, Code::Stopping | Code::DiskFull)
                || problem.code == Code::Internal
        }
        _ => false,
    };
    if curable { Ok(error.to_string()) } else { Err(error) }
}

fn refused(endpoint: &Endpoint, error: &ClientError) -> Failure {
    if error.is_disk_full() {
        return Failure::new("state-disk-full", Exit::NotReady, format!("the platform accepts no requests: {error}"))
            .fix("free space on the disk that holds the ledger");
    }
    Failure::new("not-ready", Exit::NotReady, "the platform answers, but not correctly")
        .evidence(format!("{}: {error}", endpoint.base_url))
        .fix("cardctl down, then cardctl up -d; see cardctl logs")
}

/// Short waits at first, so that a start is not slower than it has to be.
#[derive(Debug)]
struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Self(Duration::from_millis(1))
    }
}

impl Pace {
    async fn wait(&mut self) {
        sleep_until(Instant::now() + self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_millis(25));
    }
}
