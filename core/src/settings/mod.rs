//! Settings of the platform: one typed value, parsed once, with the source of each part.
//!
//! `default.toml` is the list of all settings, their built-in values and their documentation in one.

mod layers;
mod networks;
mod pairs;

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::layers::{Layers, Origin, Resolved, SettingsError, holds_credentials, variable};
pub use self::networks::{Networks, NoNetwork};
use crate::chosen::NO_CARD;
use crate::fronts::Front;
use crate::retry::RetryPolicy;
use crate::tasks::Kind;
use crate::telemetry::mask::holds_card;

/// The commented file of built-in values.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// All settings. Fields are explained in [`DEFAULT_FILE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    pub instance: String,
    pub target: String,
    pub server: Server,
    pub auth: Auth,
    pub worker: Worker,
    pub issuer: Issuer,
    pub ledger: Ledger,
    pub delivery: Delivery,
    pub fronts: Fronts,
    pub autoscale: Autoscale,
    pub kube: Kube,
    pub minikube: Minikube,
    pub log: Log,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Server {
    pub address: IpAddr,
    pub port: u16,
    pub max_in_flight: usize,
    pub max_streams: usize,
    pub max_connections: usize,
    pub unfinished_limit: usize,
    pub backlog_limit: u64,
    pub body_limit: usize,
    pub cache_limit: u64,
    #[serde(with = "crate::time::duration")]
    pub read_timeout: Duration,
    #[serde(with = "crate::time::duration")]
    pub drain_timeout: Duration,
    pub trusted_proxies: Networks,
    pub forwarded_header: ForwardedHeader,
}

/// The header in which a proxy says whom it speaks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// What most proxies write.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// `[auth]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    #[serde(with = "crate::time::duration")]
    pub access_lifetime: Duration,
    #[serde(with = "crate::time::duration")]
    pub refresh_lifetime: Duration,
    #[serde(with = "crate::time::duration")]
    pub session_lifetime: Duration,
    pub hashing_limit: usize,
    pub login_failures_per_minute: u32,
    pub account_failures_per_minute: u32,
    pub address_failures_per_minute: u32,
}

/// `[worker]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Worker {
    pub kinds: String,
    pub concurrency: usize,
    #[serde(with = "crate::time::duration")]
    pub lease: Duration,
    pub retry: RetryPolicy,
    pub issuer: IssuerClient,
}

impl Worker {
    /// The kinds that workers do; empty means all.
    ///
    /// # Errors
    /// The text that is no kind's name.
    pub fn kinds(&self) -> Result<Vec<Kind>, &str> {
        let names = self.kinds.split(',').map(str::trim);
        if self.kinds.is_empty() { Ok(Vec::new()) } else { names.map(|name| name.parse().map_err(|_| name)).collect() }
    }
}

/// `[worker.issuer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IssuerClient {
    pub url: String,
    #[serde(with = "crate::time::duration")]
    pub timeout: Duration,
    pub breaker_min_calls: u32,
    pub breaker_failure_ratio: f64,
    #[serde(with = "crate::time::duration")]
    pub breaker_window: Duration,
}

/// `[issuer]`: how the simulated issuer behaves at start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Issuer {
    #[serde(with = "crate::time::duration")]
    pub latency_p50: Duration,
    #[serde(with = "crate::time::duration")]
    pub latency_p99: Duration,
    pub error_rate: f64,
    pub decline_rate: f64,
}

/// `[ledger]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ledger {
    #[serde(with = "crate::time::duration")]
    pub event_retention: Duration,
    pub batch_limit: usize,
}

/// `[delivery]`: Redis, the delivery of the engine on Postgres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delivery {
    pub limit: usize,
    pub prefix: String,
}

/// `[fronts]`: which of the predecessors' HTTP surfaces are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fronts {
    pub card_replacer: FrontPort,
    pub shop: FrontPort,
    pub shop_management: FrontPort,
    pub buy_list: FrontPort,
    pub buy_list_management: FrontPort,
}

/// `[fronts.NAME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrontPort {
    /// Where it listens; 0: not at all.
    pub port: u16,
}

impl Fronts {
    /// The port of a front; 0 if it is off.
    #[must_use]
    pub const fn port(&self, front: Front) -> u16 {
        match front {
            Front::CardReplacer => self.card_replacer.port,
            Front::Shop => self.shop.port,
            Front::ShopManagement => self.shop_management.port,
            Front::BuyList => self.buy_list.port,
            Front::BuyListManagement => self.buy_list_management.port,
        }
    }

    /// Turns a front on, or off with 0.
    pub const fn set(&mut self, front: Front, port: u16) {
        let port = FrontPort { port };
        match front {
            Front::CardReplacer => self.card_replacer = port,
            Front::Shop => self.shop = port,
            Front::ShopManagement => self.shop_management = port,
            Front::BuyList => self.buy_list = port,
            Front::BuyListManagement => self.buy_list_management = port,
        }
    }

    /// Those that are served, with their ports.
    pub fn served(&self) -> impl Iterator<Item = (Front, u16)> + '_ {
        Front::ALL.into_iter().map(|front| (front, self.port(front))).filter(|(_, port)| *port > 0)
    }
}

/// `[autoscale]`: how many workers `up -t processes --autoscale` runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Autoscale {
    pub target_backlog: u64,
    #[serde(with = "crate::time::duration")]
    pub target_age: Duration,
    #[serde(with = "crate::time::duration")]
    pub stabilization: Duration,
    pub metric: AutoscaleMetric,
    pub target_cpu: f64,
}

/// What an autoscaler follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoscaleMetric {
    /// Tasks that wait and the age of the oldest.
    Backlog,
    /// The workers' CPU.
    Cpu,
}

/// `[kube]`: which cluster `-t kube` means, and what runs there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kube {
    pub context: String,
    pub allow: String,
    pub namespace: String,
    pub overlay: String,
    pub registry: String,
}

impl Kube {
    /// Whether a context that is not on this machine may be written to.
    #[must_use]
    pub fn allows(&self, context: &str) -> bool {
        self.allow.split(',').map(str::trim).any(|allowed| !allowed.is_empty() && allowed == context)
    }
}

/// `[minikube]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Minikube {
    pub profile: String,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// What can't be said in types: bounds.
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let at_least_one: [(&'static str, bool); 12] = [
            ("server.max-in-flight", self.server.max_in_flight >= 1),
            ("server.max-streams", self.server.max_streams >= 1),
            ("server.body-limit", self.server.body_limit >= 1),
            ("auth.hashing-limit", self.auth.hashing_limit >= 1),
            ("auth.login-failures-per-minute", self.auth.login_failures_per_minute >= 1),
            ("auth.account-failures-per-minute", self.auth.account_failures_per_minute >= 1),
            ("auth.address-failures-per-minute", self.auth.address_failures_per_minute >= 1),
            ("worker.concurrency", self.worker.concurrency >= 1),
            ("worker.retry.max-attempts", self.worker.retry.max_attempts >= 1),
            ("ledger.batch-limit", self.ledger.batch_limit >= 1),
            ("delivery.limit", self.delivery.limit >= 1),
            ("autoscale.target-backlog", self.autoscale.target_backlog >= 1),
        ];
        if let Some((key, _)) = at_least_one.into_iter().find(|(_, holds)| !holds) {
            return Err((key, "must be at least 1"));
        }
        let shares = [
            ("issuer.error-rate", self.issuer.error_rate),
            ("issuer.decline-rate", self.issuer.decline_rate),
            ("worker.issuer.breaker-failure-ratio", self.worker.issuer.breaker_failure_ratio),
        ];
        if let Some((key, _)) = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err((key, "must lie between 0 and 1"));
        }
        if self.auth.access_lifetime > crate::accounts::LONGEST_ACCESS {
            return Err(("auth.access-lifetime", "must be at most 1d: what is revoked is remembered for that long"));
        }
        let taken = |front, port| self.fronts.served().any(|(other, its)| other < front && its == port);
        if let Some((front, _)) = self.fronts.served().find(|(front, port)| taken(*front, *port)) {
            return Err((front.setting(), "must not be the port of another front"));
        }
        // All, by an oversight, would be too many.
        if self.worker.kinds().is_err() {
            return Err((
                "worker.kinds",
                "has names of kinds, separated by commas, such as purchase,add; empty means all",
            ));
        }
        if self.worker.lease < Duration::from_secs(1) {
            return Err(("worker.lease", "must be at least 1s: leases are renewed at a third of it"));
        }
        if self.autoscale.target_age.is_zero() {
            return Err(("autoscale.target-age", "must be more than nothing"));
        }
        if self.autoscale.target_cpu.is_nan() || self.autoscale.target_cpu <= 0.0 {
            return Err(("autoscale.target-cpu", "must be above 0"));
        }
        let prefix = &self.delivery.prefix;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=64).contains(&prefix.len()) || !prefix.bytes().all(word) {
            return Err(("delivery.prefix", "has 1 to 64 letters, digits, '-', '_' or '.'"));
        }
        if !is_label(&self.kube.namespace) {
            return Err((
                "kube.namespace",
                "has up to 63 lower-case letters, digits or '-', and begins and ends without '-'",
            ));
        }
        if self.minikube.profile.is_empty() {
            return Err(("minikube.profile", "must name a profile; minikube's own default is minikube"));
        }
        let name = &self.instance;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) || name.starts_with('-') {
            return Err(("instance", "has 1 to 32 lower-case letters, digits or '-'"));
        }
        if holds_card(name) {
            return Err(("instance", NO_CARD));
        }
        Ok(())
    }
}

/// Whether Kubernetes takes it as a name (RFC 1123), or it is not given.
fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(plain) && !name.starts_with('-') && !name.ends_with('-')
}

impl Default for Settings {
    fn default() -> Self {
        Layers::built_in().resolve().map(|resolved| resolved.settings).unwrap_or_else(|error| {
            // A test parses the file, so a build whose defaults are wrong is never shipped.
            unreachable!("built-in settings: {error}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_is_complete() {
        let resolved = Layers::built_in().resolve().unwrap();
        assert!(resolved.origins.values().all(|origin| *origin == Origin::BuiltIn));
        assert_eq!(resolved.settings.server.port, 7400);
    }
}
