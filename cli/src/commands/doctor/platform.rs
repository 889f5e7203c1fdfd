//! What the running platform says of itself.

use card_core::tasks::Stats;
use card_core::time::{Instant, format_duration};
use card_loadtests::client::{Client, Token};

use super::Check;
use crate::commands::status::alive;
use crate::context::{Context, NOT_RUNNING};
use crate::instance::{Phase, Record};

/// A task that waits longer than this while nothing is paused waits for something that does not come.
const OLD_MS: u64 = 60_000;

pub(super) async fn check(context: &Context, checks: &mut Vec<Check>) {
    const NAME: &str = "platform";
    let program = context.program();
    let endpoint = match context.endpoint().await {
        Ok(endpoint) => endpoint,
        Err(failure) => {
            let fix = failure.fix.unwrap_or_default();
            checks.push(match Record::load(&context.instance) {
                Some(stale) if !stale.process.is_alive() => Check::warn(
                    NAME,
                    format!("process {} ended without having stopped", stale.process.pid),
                    format!("{program} up -d goes on with its data"),
                ),
                Some(running) if running.phase == Phase::Starting => Check::warn(NAME, "it is starting", fix),
                // Only that there is none is no trouble: one that is deployed and can't be reached is.
                _ if failure.code == NOT_RUNNING => {
                    Check::ok(NAME, format!("{}; to start one: {fix}", failure.message))
                }
                _ => Check::fail(NAME, failure.message, fix),
            });
            return;
        }
    };
    let token = endpoint.operator_token.as_ref().map(|token| Token::new(token.expose()));
    let client = match Client::new(&endpoint.base_url, token) {
        Ok(client) => client,
        Err(error) => return checks.push(Check::fail(NAME, error.to_string(), "correct --target")),
    };
    match client.ready().await {
        Ok(readiness) if readiness.ready => checks.push(Check::ok(NAME, format!("{} is ready", endpoint.base_url))),
        Ok(readiness) => {
            let detail = format!("{} is not ready: {}", endpoint.base_url, readiness.detail);
            checks.push(Check::fail(NAME, detail, format!("{program} logs --level warn")));
        }
        Err(error) => return checks.push(Check::fail(NAME, error.to_string(), format!("{program} up --restart -d"))),
    }
    match client.stats().await {
        Ok(stats) => {
            checks.push(workers(&stats, &program));
            checks.push(queue(&stats, &program));
            checks.push(dead_letters(&stats, &program));
        }
        Err(error) => checks.push(Check::warn(
            "operator",
            error.to_string(),
            "set CARDCTL_OPERATOR_TOKEN or CARDCTL_OPERATOR_TOKEN_FILE",
        )),
    }
}

fn workers(stats: &Stats, program: &str) -> Check {
    match stats.workers.len() {
        0 => Check::fail("workers", "none is alive", format!("{program} up --restart -d")),
        _ => Check::ok("workers", alive(stats.workers.iter().map(|worker| worker.last_seen), Instant::now())),
    }
}

fn queue(stats: &Stats, program: &str) -> Check {
    const NAME: &str = "queue";
    let queue = &stats.queue;
    let age = format_duration(std::time::Duration::from_millis(queue.oldest_age_ms));
    let detail = format!(
        "{} ready, {} running, {} retrying; the oldest waits {age}",
        queue.ready, queue.running, queue.retrying
    );
    if queue.paused {
        return Check::warn(NAME, format!("paused: {detail}"), format!("{program} queue resume"));
    }
    if queue.oldest_age_ms > OLD_MS {
        return Check::warn(
            NAME,
            detail,
            format!("{program} up --restart -d --workers 2, or look at {program} logs worker --level warn"),
        );
    }
    Check::ok(NAME, detail)
}

fn dead_letters(stats: &Stats, program: &str) -> Check {
    match stats.queue.dead {
        0 => Check::ok("dead letters", "none"),
        dead => Check::warn("dead letters", format!("{dead}"), format!("{program} dlq list")),
    }
}
