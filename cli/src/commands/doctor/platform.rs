//! What the running platform says of itself.

use card_core::tasks::Stats;
use card_core::time::{Instant, format_duration};

use super::Check;
use crate::client::{self, command};
use crate::commands::status::alive;
use crate::context::{Context, NOT_RUNNING, Target};
use crate::instance::{Phase, Record};

/// A task that waits longer than this while nothing is paused waits for something that does not come.
const OLD_MS: u64 = 60_000;

pub(super) async fn check(context: &Context, checks: &mut Vec<Check>) {
    const NAME: &str = "platform";
    let next = |words: &str| command(context, words);
    // In a cluster `up` changes what is different by itself, and what is wrong is told by the pods.
    let in_cluster = matches!(context.target(), Ok(Target::Kubernetes(_)));
    let anew = || next(if in_cluster { "status" } else { "up --restart -d" });
    let endpoint = match context.endpoint().await {
        Ok(endpoint) => endpoint,
        Err(failure) => {
            let fix = failure.fix.unwrap_or_default();
            checks.push(match Record::load(&context.instance) {
                Some(stale) if !stale.process.is_alive() => Check::warn(
                    NAME,
                    format!("process {} exited without stopping in order", stale.process.pid),
                    format!("{} continues with its data", next("up -d")),
                ),
                Some(running) if running.phase == Phase::Starting => Check::warn(NAME, "it is starting", fix),
                // Only that there is none is no trouble: one that is deployed and can't be reached is.
                _ if failure.code == NOT_RUNNING => Check::ok(NAME, format!("{}; start one: {fix}", failure.message)),
                _ => Check::fail(NAME, failure.message, fix),
            });
            return;
        }
    };
    let client = match client::to(&endpoint.base_url, &endpoint) {
        Ok(client) => client,
        Err(error) => return checks.push(Check::fail(NAME, error.to_string(), "correct --target")),
    };
    match client.ready().await {
        Ok(readiness) if readiness.ready => checks.push(Check::ok(NAME, format!("{} is ready", endpoint.base_url))),
        Ok(readiness) => {
            let detail = format!("{} is not ready: {}", endpoint.base_url, readiness.detail);
            checks.push(Check::fail(NAME, detail, next("logs --level warn")));
        }
        Err(error) => return checks.push(Check::fail(NAME, error.to_string(), anew())),
    }
    match client.stats().await {
        Ok(stats) => {
            checks.push(workers(&stats, anew()));
            let more = next(if in_cluster { "scale workers=2" } else { "up --restart -d --workers 2" });
            checks.push(queue(&stats, next, &more));
            checks.push(dead_letters(&stats, next("dlq list")));
        }
        Err(error) => checks.push(Check::warn(
            "operator",
            error.to_string(),
            "set CARDCTL_OPERATOR_TOKEN or CARDCTL_OPERATOR_TOKEN_FILE",
        )),
    }
}

fn workers(stats: &Stats, fix: String) -> Check {
    match stats.workers.len() {
        0 => Check::fail("workers", "no worker is alive", fix),
        _ => Check::ok("workers", alive(stats.workers.iter().map(|worker| worker.last_seen), Instant::now())),
    }
}

fn queue(stats: &Stats, next: impl Fn(&str) -> String, more: &str) -> Check {
    const NAME: &str = "queue";
    let queue = &stats.queue;
    let age = format_duration(std::time::Duration::from_millis(queue.oldest_age_ms));
    let detail =
        format!("{} ready, {} running, {} retrying; oldest waiting {age}", queue.ready, queue.running, queue.retrying);
    if queue.paused {
        return Check::warn(NAME, format!("paused: {detail}"), next("queue resume"));
    }
    if queue.oldest_age_ms > OLD_MS {
        return Check::warn(NAME, detail, format!("{more}, or check {}", next("logs worker --level warn")));
    }
    Check::ok(NAME, detail)
}

fn dead_letters(stats: &Stats, fix: String) -> Check {
    match stats.queue.dead {
        0 => Check::ok("dead letters", "none"),
        dead => Check::warn("dead letters", format!("{dead}"), fix),
    }
}
