//! `cardctl queue stats`.

use std::time::Duration;

use card_core::tasks::{Stats, WorkerStats};
use card_core::time::{Instant, format_duration};

use crate::client;
use crate::commands::watch::screen::milliseconds;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Printer;
use card_core::exit::Exit;

/// Lines above the table of workers.
const FACTS: usize = 10;

pub(super) async fn run(context: &Context) -> Result<Exit, Failure> {
    let stats = client::connect(context).await?.stats().await?;
    context.printer.data(&stats)?;
    if context.printer.is_text() {
        write(&context.printer, &stats)?;
    }
    Ok(Exit::Done)
}

fn write(printer: &Printer, stats: &Stats) -> Result<(), Failure> {
    let paint = printer.out();
    let queue = &stats.queue;
    let dead = if queue.dead > 0 { paint.bad(queue.dead.to_string()) } else { "0".to_owned() };
    let facts = [
        ("ready", queue.ready.to_string()),
        ("running", queue.running.to_string()),
        ("retrying", queue.retrying.to_string()),
        ("scheduled", queue.scheduled.to_string()),
        ("dead", dead),
        ("oldest", format!("waiting {}", format_duration(Duration::from_millis(queue.oldest_age_ms)))),
        ("accepted", stats.accepted_total.to_string()),
        ("settled", stats.settled_total.to_string()),
    ];
    for (name, value) in facts {
        printer.text(format!("{name:<9} {value}"))?;
    }
    if queue.paused {
        printer.text(paint.warn("paused    no tasks are processed"))?;
    }
    let now = Instant::now();
    let row = |worker: &WorkerStats| {
        let seen = format!("{} ago", milliseconds(now.since(worker.last_seen)));
        vec![worker.id.to_string(), worker.host.clone(), worker.inflight.to_string(), seen]
    };
    let rows: Vec<_> = stats.workers.iter().map(row).collect();
    if rows.is_empty() {
        return printer.text(paint.warn("no worker is alive"));
    }
    printer.text("")?;
    printer.text(printer.table(&["worker", "host", "in flight", "seen"], rows, FACTS))
}
