//! What `up` says when the platform is ready.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use card_core::engine::cluster::try_redis;
use card_core::fronts::Front;
use serde::Serialize;

use super::{Converged, UpArgs};
use crate::cluster::{self, Service};
use crate::context::Context;
use crate::failure::Failure;
use crate::instance::{Proof, Record, port};
use crate::output::{Block, home};

#[derive(Serialize)]
struct Document<'a> {
    instance: &'a str,
    target: &'a str,
    url: &'a str,
    /// URLs by front.
    fronts: BTreeMap<Front, String>,
    /// Where it listens, which may be more than one can go to.
    listens: String,
    engine: &'a str,
    pid: u32,
    state_dir: &'a Path,
    workers: usize,
    servers: usize,
    ready_ms: u128,
    already_up: bool,
}

/// The document, or the lines: where it is, where the data lies, how to stop it.
pub(super) fn show(converged: &Converged, stop: &str, context: &Context) -> Result<(), Failure> {
    let Converged { record, ready, already_up, .. } = converged;
    remark(converged, context);
    let printer = &context.printer;
    let fronts = record.fronts();
    printer.data(&Document {
        instance: &context.instance.name,
        target: record.target.name(),
        url: &record.url,
        fronts: fronts.clone(),
        listens: listens(record).to_string(),
        engine: &record.engine,
        pid: record.process.pid,
        state_dir: &record.data_dir,
        workers: record.workers,
        servers: record.servers,
        ready_ms: ready.as_millis(),
        already_up: *already_up,
    })?;
    let paint = printer.out();
    let data = match &record.cluster {
        Some(cluster) => format!("Postgres {}, Redis {}", cluster.database, cluster.redis),
        None => home(&record.data_dir),
    };
    let kept = if record.ephemeral { "removed at the end" } else { "kept after it stops" };
    let state = if *already_up {
        format!("{} with this configuration; nothing was changed", paint.good("already up"))
    } else {
        format!("{} in {} ms", paint.good("ready"), ready.as_millis())
    };
    let listens = listens(record);
    let open = (!listens.ip().is_loopback())
        .then(|| format!("  listens {listens}: anyone who can reach this machine can reach the API, without TLS"));
    let mut lines = vec![
        state,
        format!("  page    {}", paint.accent(format!("{}/", record.url))),
        format!("  API     {}", paint.accent(format!("{}/docs", record.url))),
    ];
    lines.extend(fronts.iter().map(|(front, url)| format!("  front   {} {front}", paint.accent(url))));
    lines.extend(open);
    lines.push(format!("  data    {data}  ({kept})"));
    lines.push(format!("  stop    {}", paint.accent(stop)));
    printer.text(Block::of(lines))
}

/// The address that it was told to listen at, with the port that it has.
fn listens(record: &Record) -> SocketAddr {
    let told = record.settings.get("server.address").and_then(|setting| setting.value.as_str()?.parse().ok());
    SocketAddr::new(told.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), record.port())
}

/// Says that Redis would remove tasks when it is full.
pub(super) async fn warn_of_eviction(converged: &Converged, args: &UpArgs, context: &Context) {
    if converged.record.cluster.is_none() {
        return;
    }
    let redis = cluster::one_given(Service::Redis, args.redis.as_deref(), |name| std::env::var_os(name));
    let Ok(Some(redis)) = redis else { return };
    if let Ok(report) = try_redis(&redis, &context.settings.settings.delivery.prefix).await
        && let Some(policy) = report.evicts
    {
        let said =
            format!("Redis has maxmemory-policy {policy}: when it is full, it evicts waiting tasks, which delays them");
        context.printer.say(format!("{said}; fix: CONFIG SET maxmemory-policy noeviction, and in redis.conf"));
    }
}

/// What is not as one would expect.
pub(super) fn remark(converged: &Converged, context: &Context) {
    let Converged { record, already_up, proof, .. } = converged;
    if !already_up && let Some((asked, got)) = moved(record, context) {
        let holder = port::holder(asked).map(|holder| format!(" ({holder})")).unwrap_or_default();
        context.printer.say(format!("port {asked} is in use{holder}; using {got}"));
    }
    match proof {
        Proof::Added | Proof::OtherKinds => {}
        Proof::WorkedOff { waiting } => {
            context.printer.say(format!("{waiting} tasks are waiting from an earlier run and are being processed"));
        }
        Proof::Paused => {
            context
                .printer
                .say(format!("the queue is paused: accepted tasks wait until {} queue resume", context.program()));
        }
    }
}

fn moved(record: &Record, context: &Context) -> Option<(u16, u16)> {
    let asked = context.settings.settings.server.port;
    let got = record.port();
    let given = record.settings.get("server.port")?.value.as_u64()? != u64::from(asked);
    (!given && asked != 0 && asked != got).then_some((asked, got))
}
