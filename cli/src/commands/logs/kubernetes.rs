//! `cardctl logs` of a platform in a cluster: the containers of all its pods as one log.

use card_core::telemetry::mask::mask;
use card_kube::logs::{LogError, LogItem, LogOptions, logs};
use futures::StreamExt;
use serde_json::Value;

use super::line::{Component, Filter, Line};
use super::selector::Selector;
use super::{Document, LogsArgs};
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::{Kind, connect};
use crate::output::Format;
use card_core::exit::Exit;

/// Of the pods of this platform, not of whatever else is in the namespace.
const OURS: &str = "app.kubernetes.io/part-of=cardctl";

pub(super) async fn run(args: LogsArgs, kind: Kind, context: &Context) -> Result<Exit, Failure> {
    let printer = &context.printer;
    if args.follow && printer.format() == Format::Json {
        return Err(Failure::new("usage", Exit::Usage, "-f is a stream, and -o json is one document")
            .fix("cardctl logs -f -o jsonl"));
    }
    let components = args.components.iter().map(component).collect::<Result<Vec<_>, _>>()?;
    let cluster = connect(kind, context).await?;
    let since =
        args.since.map(|since| jiff::Timestamp::now() - jiff::SignedDuration::try_from(since).unwrap_or_default());
    let options = LogOptions {
        components,
        selector: format!("{OURS},app.kubernetes.io/instance={}", context.instance.name),
        since,
        follow: args.follow,
        ..LogOptions::default()
    };
    let filter = Filter { level: args.level, task: args.task, ..Filter::default() };
    let mut lines = logs(cluster.client().clone(), cluster.namespace(), options);
    let mut gathered: Vec<Value> = Vec::new();
    let mut any = false;
    loop {
        let item = tokio::select! {
            item = lines.next() => item,
            () = context.stop.cancelled() => return Ok(context.interrupted()),
        };
        let line = match item {
            None => break,
            Some(Ok(LogItem::Notice(notice))) => {
                printer.say(notice);
                continue;
            }
            Some(Ok(LogItem::Line(line))) => Line::of_pod(&mask(&line.text), &line.pod, line.time),
            Some(Err(error)) => return Err(unreadable(&error)),
        };
        any = true;
        if !filter.lets_through(&line) {
            continue;
        }
        match printer.format() {
            Format::Text => printer.text(line.render(printer.out()))?,
            Format::Jsonl => printer.data(&line.document())?,
            Format::Json => gathered.push(line.document()),
        }
    }
    if printer.format() == Format::Json {
        printer.data(&Document { lines: gathered })?;
    }
    if !any {
        printer.say(format!("its pods have not logged anything in namespace {}", cluster.namespace()));
    }
    Ok(Exit::Done)
}

/// The label of the pods that are meant.
fn component(selector: &Selector) -> Result<String, Failure> {
    Ok(match selector {
        Selector::Part(Component::Server) => "server",
        Selector::Part(Component::Worker) => "worker",
        Selector::Part(Component::Issuer) => "issuer",
        Selector::Process(name) => name,
        Selector::Part(Component::Engine | Component::Process) => {
            return Err(Failure::new(
                "usage",
                Exit::Usage,
                "in a Kubernetes cluster each component is a pod, and the engine is part of all of them",
            )
            .fix("cardctl logs server worker issuer postgres redis, or some of them"));
        }
    }
    .to_owned())
}

fn unreadable(error: &LogError) -> Failure {
    Failure::new("log", Exit::Unknown, error.to_string()).fix("kubectl auth can-i list pods; cardctl status")
}
