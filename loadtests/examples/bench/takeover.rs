//! A worker is killed (SIGKILL) while every step it may do at once is in a call of a second: how long until each of its
//! tasks is begun again by another process, and whether each took effect once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use card_client::{Accept, Caller, Client, Order, SyntheticUser};
use card_core::ids::{RunId, TaskId};
use card_core::tasks::Stats;
use card_core::time;
use card_kinds::replacement::{CardReplacement, Reason, Replacement};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;

use crate::given::Given;
use crate::platform::{Platform, percentile};
use crate::{Failed, report};

/// Steps at once, for each worker.
const CONCURRENCY: u64 = 128;
const WORKERS: usize = 2;
const LONGEST: Duration = Duration::from_secs(60);

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    let variables = [
        ("CARDCTL_WORKER_CONCURRENCY", CONCURRENCY.to_string()),
        ("CARDCTL_ISSUER_LATENCY_P50", "1s".to_owned()),
        ("CARDCTL_ISSUER_LATENCY_P99", "1s".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let platform = Platform::on_cluster(1, WORKERS, &variables).await?;
    let (rounds, mut worst) = (given.pick(5, 1), Duration::ZERO);
    for round in 1..=rounds {
        let waits = once(&platform).await?;
        let longest = waits.last().copied().unwrap_or_default();
        report!(
            "round {round}: {} tasks were held by the killed worker; begun elsewhere after {:.2} s at least, p50 {:.2} s, {:.2} s \
             at most; each took effect once",
            waits.len(),
            waits.first().copied().unwrap_or_default().as_secs_f64(),
            percentile(&waits, 0.5).as_secs_f64(),
            longest.as_secs_f64()
        );
        worst = worst.max(longest);
    }
    report!("taken over within {:.2} s, the worst of {rounds} kills", worst.as_secs_f64());
    platform.stop().await
}

/// From the kill until each task of the killed worker was begun elsewhere, sorted.
async fn once(platform: &Platform) -> Result<Vec<Duration>, Failed> {
    let (client, run, count) = (&platform.client, RunId::new(), CONCURRENCY * WORKERS as u64);
    let workers = platform.workers(WORKERS).await?;
    let (victim, pid) = workers.first().and_then(|worker| Some((&worker.name, worker.pid?))).ok_or("no worker")?;
    let tasks = submit(client, &run, client.synthetic_users(&run, 0, count).await?).await?;
    // As many as both may do at once: each holds as many as it may.
    let held = until(client, |stats| stats.queue.running == count).await;
    held.map_err(|_| "the tasks were never all held at once: their calls end after a second; is the machine busy?")?;
    let killed = time::Instant::now();
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?;
    until(client, |stats| stats.settled_total == stats.accepted_total).await?;
    let mut waits = Vec::new();
    for task in tasks {
        let attempts = client.attempts(task, Caller::Operator).await?;
        let [attempt] = attempts.as_slice() else {
            return Err(format!("{task} has {} attempts that ended, and not one", attempts.len()).into());
        };
        let begun = attempt.started_at.ok_or("an attempt without a beginning")?;
        if begun > killed {
            waits.push(begun.since(killed));
        }
    }
    if waits.is_empty() {
        return Err(format!("no task was taken over: {victim} held none").into());
    }
    let mut page = client.effects(&run, None).await?;
    let mut effects = page.items;
    while let Some(cursor) = page.next {
        page = client.effects(&run, Some(&cursor)).await?;
        effects.append(&mut page.items);
    }
    if effects.len() as u64 != count || effects.iter().any(|task| task.effects != 1 || task.finals != 1) {
        return Err(format!("not {count} tasks with one effect each: {effects:?}").into());
    }
    waits.sort_unstable();
    Ok(waits)
}

/// A replacement for each user, all at once.
async fn submit(client: &Client, run: &RunId, users: Vec<SyntheticUser>) -> Result<Vec<TaskId>, Failed> {
    let (run, mut orders, mut tasks) = (Arc::new(run.clone()), JoinSet::new(), Vec::new());
    for user in users {
        let (client, run) = (client.clone(), Arc::clone(&run));
        orders.spawn(async move {
            let order = Order::of::<CardReplacement>(&Replacement { reason: Reason::Lost });
            let accept = Accept { caller: Caller::User(&user.access_token), run: Some(&run), key: None };
            client.accept(&order, accept).await
        });
    }
    while let Some(accepted) = orders.join_next().await {
        tasks.push(accepted??.id);
    }
    Ok(tasks)
}

async fn until(client: &Client, is_so: impl Fn(&Stats) -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + LONGEST;
    while !is_so(&client.stats().await?) {
        if Instant::now() > deadline {
            return Err(format!("not within {LONGEST:?}: {:?}", client.stats().await?.queue).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
