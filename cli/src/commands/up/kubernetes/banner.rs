//! What `up` says when the platform is ready in a cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use card_core::fronts::Front;
use serde::Serialize;

use super::Ready;
use crate::context::Context;
use crate::failure::Failure;
use crate::instance::Proof;
use crate::kubernetes::{SERVER_PORT, SERVER_SERVICE};
use crate::output::Block;
use card_kube::apply::Outcome;

#[derive(Serialize)]
struct Document<'a> {
    instance: &'a str,
    target: &'static str,
    url: &'a str,
    /// URLs by front, as programs in the cluster call them.
    fronts: BTreeMap<Front, String>,
    engine: &'static str,
    /// There is no process of this machine.
    pid: Option<u32>,
    state_dir: String,
    workers: usize,
    ready_ms: u128,
    already_up: bool,
    context: &'a str,
    cluster_id: &'a str,
    namespace: &'a str,
    overlay: &'a str,
    objects: Objects,
}

#[derive(Serialize)]
struct Objects {
    created: usize,
    changed: usize,
    unchanged: usize,
    deleted: usize,
}

/// With the port of this machine that is forwarded, if one is.
pub(super) fn show(ready: &Ready, forwarded: Option<SocketAddr>, context: &Context) -> Result<(), Failure> {
    let Ready { deployment, applied, .. } = ready;
    let printer = &context.printer;
    let program = context.program();
    match ready.proof {
        Proof::Added | Proof::OtherKinds => {}
        Proof::WorkedOff { waiting } => {
            printer.say(format!("{waiting} tasks are waiting from an earlier run and are being processed"));
        }
        Proof::Paused => printer.say(format!("the queue is paused: accepted tasks wait until {program} queue resume")),
    }
    let objects = Objects {
        created: applied.count(Outcome::Created),
        changed: applied.count(Outcome::Configured),
        unchanged: applied.count(Outcome::Unchanged),
        deleted: ready.pruned,
    };
    let paint = printer.out();
    let state = if ready.already_up {
        format!("{} with this configuration; nothing was changed", paint.good("already up"))
    } else {
        format!("{} in {:.1} s", paint.good("ready"), ready.took.as_secs_f64())
    };
    let Objects { created, changed, unchanged, deleted } = &objects;
    let place = format!("context {}, namespace {}", deployment.context, deployment.namespace);
    let counts = format!("{created} created, {changed} changed, {unchanged} unchanged, {deleted} deleted");
    let here = forwarded.map(|address| format!("http://{address}"));
    let page = match (&ready.url, &here) {
        (Some(url), _) => paint.accent(format!("{url}/")),
        (None, Some(here)) => format!("{}  (forwarded until Ctrl-C)", paint.accent(format!("{here}/"))),
        (None, None) => {
            let up = paint.accent(format!("{program} up -t {}", deployment.kind.name()));
            format!("{up}, without -d, forwards it to this machine")
        }
    };
    // What a program in the cluster calls it, where this machine has no way of its own.
    let inside = || format!("http://{SERVER_SERVICE}.{}.svc:{SERVER_PORT}", deployment.namespace);
    let url = ready.url.clone().or(here).unwrap_or_else(inside);
    let fronts = deployment.fronts();
    let mut lines =
        vec![state, format!("  where   {place}"), format!("  objects {counts}"), format!("  page    {page}")];
    lines.extend(fronts.iter().map(|(front, url)| format!("  front   {} {front}", paint.accent(url))));
    lines.push(format!("  stop    {}", paint.accent(format!("{program} down"))));
    printer.text(Block::of(lines))?;
    printer.data(&Document {
        instance: &context.instance.name,
        target: deployment.kind.name(),
        url: &url,
        fronts,
        engine: "cluster",
        pid: None,
        state_dir: context.instance.dir.display().to_string(),
        workers: ready.workers,
        ready_ms: ready.took.as_millis(),
        already_up: ready.already_up,
        context: &deployment.context,
        cluster_id: &deployment.cluster_id,
        namespace: &deployment.namespace,
        overlay: &deployment.overlay,
        objects,
    })
}
