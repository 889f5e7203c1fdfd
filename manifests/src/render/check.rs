//! That what was said can be meant.

use std::time::Duration;

use crate::files::Embedded;
use crate::kustomize::RenderError;
use crate::values::{NodePort, Provision, Scale, Values};

/// The longest time to stop that a setting may ask for here.
const LONGEST_DRAIN: Duration = Duration::from_secs(3600);

pub(super) fn all(values: &Values) -> Result<(), RenderError> {
    let wrong = |value, message: &str| Err(RenderError::Value { value, message: message.to_owned() });
    if !is_label(&values.namespace) {
        return wrong("namespace", "must be at most 63 of a-z, 0-9 and -, with a letter or digit at both ends");
    }
    if !is_label(&values.instance) {
        return wrong("instance", "must be at most 63 of a-z, 0-9 and -, with a letter or digit at both ends");
    }
    if let Some(Scale::Backlog(_)) = values.servers {
        return wrong("servers", "servers follow their CPU or are a fixed number; only workers follow the backlog");
    }
    for (name, scale) in [("servers", values.servers), ("workers", values.workers)] {
        match scale {
            Some(Scale::Fixed(0)) => return wrong(name, "must be at least 1: without one the platform is not ready"),
            Some(Scale::Cpu(bounds) | Scale::Backlog(bounds)) if bounds.min == 0 || bounds.max < bounds.min => {
                return wrong(name, "must be MIN..MAX with 1 <= MIN <= MAX");
            }
            _ => {}
        }
    }
    if values.ingress.as_ref().is_some_and(|ingress| !is_host(&ingress.host)) {
        return wrong("ingress", "must be a host name such as cards.example.com, not an address");
    }
    if let Some(NodePort::At(0..30_000 | 32_768..)) = values.node_port {
        return wrong("node-port", "must be from 30000 to 32767, which clusters keep for this");
    }
    for (front, port) in &values.fronts {
        if !fronts().any(|known| known == front) {
            let known: Vec<_> = fronts().collect();
            return wrong("front", &format!("there is no front {front:?}; there are {}", known.join(", ")));
        }
        if *port == Some(0) {
            return wrong("front", "the port must be from 1 to 65535");
        }
    }
    for (name, provision) in [("database", values.database), ("redis", values.redis)] {
        if let Some(Provision::External { port: Some(0) }) = provision {
            return wrong(name, "the port must be from 1 to 65535");
        }
    }
    let bundled = values.database.map_or(values.overlay.has_bundled_database(), |there| there == Provision::Bundled);
    if !bundled && (values.storage.is_some() || values.storage_class.is_some()) {
        return wrong("storage", "Postgres is external, so it has no volume");
    }
    if values.storage.as_ref().is_some_and(|size| !is_size(size)) {
        return wrong("storage", "must be a size such as 20Gi");
    }
    settings(values)
}

fn settings(values: &Values) -> Result<(), RenderError> {
    let wrong = |message: String| Err(RenderError::Value { value: "set", message });
    for (name, value) in &values.settings {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if name.is_empty() || !name.bytes().all(good) {
            return wrong(format!("{name:?} is not a setting name, such as worker.concurrency"));
        }
        if value.contains(['\n', '\0']) {
            return wrong(format!("{name} has several lines"));
        }
        let ours = ["server.address", "server.port", "worker.issuer.url"];
        if ours.contains(&name.as_str()) {
            return wrong(format!("{name} is fixed in a Kubernetes cluster; it can't be changed"));
        }
        if name.starts_with("fronts.") {
            return wrong(format!("{name} is fixed in a Kubernetes cluster; --front turns a front on, with a Service"));
        }
    }
    match drain(values) {
        Some(None) => wrong(format!(
            "server.drain-timeout must be a whole number of seconds or minutes up to {}h, such as 30s",
            LONGEST_DRAIN.as_secs() / 3600
        )),
        _ => Ok(()),
    }
}

/// Those that there is a component for.
fn fronts() -> impl Iterator<Item = &'static str> {
    Embedded::all().filter_map(|(file, _)| file.strip_prefix("components/front-")?.strip_suffix("/kustomization.yaml"))
}

/// What `server.drain-timeout` was set to. Inside, none if it makes no sense.
pub(super) fn drain(values: &Values) -> Option<Option<Duration>> {
    values.settings.get("server.drain-timeout").map(|text| seconds(text).filter(|drain| *drain <= LONGEST_DRAIN))
}

/// `30s`, `2m`, `1h`, as far as a grace period needs it.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => return Some(Duration::from_secs(number.div_ceil(1000))),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_secs)
}

fn is_label(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let good = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    bytes.len() <= 63 && bytes.iter().all(good) && edge(bytes.first()) && edge(bytes.last())
}

/// An address is none: the API refuses it.
fn is_host(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_err() && host.len() <= 253 && host.split('.').all(is_label)
}

fn is_size(size: &str) -> bool {
    let number = size.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = &size[number.len()..];
    number.parse::<u64>().is_ok_and(|number| number > 0) && ["Mi", "Gi", "Ti", "M", "G", "T"].contains(&unit)
}
