//! What a child is started with: command line and environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use card_core::engine::cluster::Address;
use card_core::process::Part;
use card_core::settings::Settings;

use crate::instance::Paths;

/// A command line and the variables that are set beside those of this process.
pub(super) struct Order {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(String, OsString)>,
}

/// Makes orders. Knows the addresses and shows them to nobody but the children that need them.
pub(super) struct Orders {
    settings: Vec<(String, OsString)>,
    outside_issuer: bool,
    issuer: Mutex<Option<String>>,
    address: Address,
    signing_key: PathBuf,
    operator_token: PathBuf,
}

impl Orders {
    /// For a platform that listens there. The secrets lie in the instance's directory.
    pub(super) fn new(settings: &Settings, listens: SocketAddr, address: Address, paths: &Paths) -> Self {
        let mut settings = settings.clone();
        settings.server.address = listens.ip();
        settings.server.port = listens.port();
        Self {
            outside_issuer: !settings.worker.issuer.url.is_empty(),
            settings: variables(&settings),
            issuer: Mutex::new(None),
            address,
            signing_key: Paths::signing_key(&paths.dir),
            operator_token: Paths::operator_token(&paths.dir),
        }
    }

    /// Whether workers call an issuer that is none of ours.
    pub(super) const fn has_outside_issuer(&self) -> bool {
        self.outside_issuer
    }

    /// Where our issuer listens, once it said so.
    pub(super) fn issuer(&self) -> Option<String> {
        self.issuer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on workers are told to find it there, and a new one is to listen there as well.
    pub(super) fn issuer_is_at(&self, address: &str) {
        *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.to_owned());
    }

    /// The order for a child.
    pub(super) fn order(&self, part: Part, name: &str) -> Order {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut arguments = match part {
            Part::Server => words(&["card-server", "serve", "--workers", "0", "--reuse-port"]),
            Part::Worker => words(&["card-worker"]),
            Part::Issuer => {
                let address = self.issuer().unwrap_or_else(|| "127.0.0.1:0".to_owned());
                words(&["card-server", "issuer", "--address", &address])
            }
        };
        arguments.extend(words(&["--tied", "--announce"]));
        let mut variables = self.settings.clone();
        let mut set = |name: &str, value: OsString| variables.push((name.to_owned(), value));
        set("CARDCTL_COMPONENT", name.into());
        if part != Part::Worker {
            set("CARDCTL_OPERATOR_TOKEN_FILE", self.operator_token.clone().into());
        }
        if part == Part::Server {
            set("CARDCTL_SIGNING_KEY_FILE", self.signing_key.clone().into());
        }
        if part != Part::Issuer {
            set("CARDCTL_DATABASE", self.address.database.clone().into());
            set("CARDCTL_REDIS", self.address.redis.clone().into());
            if let Some(issuer) = self.issuer() {
                set("CARDCTL_WORKER_ISSUER_URL", format!("http://{issuer}").into());
            }
        }
        Order { program: crate::instance::program(), arguments, variables }
    }
}

/// Every setting as the variable that sets it: the children must not look for settings of their own.
fn variables(settings: &Settings) -> Vec<(String, OsString)> {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        value => value.to_string(),
    };
    crate::instance::flat(settings)
        .into_iter()
        .map(|(key, value)| (card_core::settings::variable(&key), text(value).into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use card_core::settings::Layers;

    use super::*;

    fn orders(settings: &Settings) -> Orders {
        let address = Address { database: "postgres://u:secret@db/cards".into(), redis: "redis://cache".into() };
        let paths = Paths { name: "x".into(), dir: "/state".into() };
        Orders::new(settings, SocketAddr::from(([127, 0, 0, 1], 7411)), address, &paths)
    }

    #[test]
    fn a_child_reads_the_settings_as_they_were_resolved() {
        let mut settings = Settings::default();
        settings.log.level = "info,card_worker=debug".to_owned();
        settings.worker.retry.max_attempts = 9;
        let order = orders(&settings).order(Part::Server, "server-1");
        let variables = order.variables.iter().map(|(name, value)| (name.clone(), value.to_str().unwrap().to_owned()));
        let mut layers = Layers::built_in();
        layers.environment(variables).unwrap();
        settings.server.port = 7411;
        assert_eq!(layers.resolve().unwrap().settings, settings);
    }

    #[test]
    fn each_gets_what_it_needs_and_no_more() {
        let orders = orders(&Settings::default());
        let has = |part, variable: &str| orders.order(part, "x").variables.iter().any(|(name, _)| name == variable);
        for (variable, servers, workers, issuers) in [
            ("CARDCTL_DATABASE", true, true, false),
            ("CARDCTL_REDIS", true, true, false),
            ("CARDCTL_SIGNING_KEY_FILE", true, false, false),
            ("CARDCTL_OPERATOR_TOKEN_FILE", true, false, true),
        ] {
            let found = [Part::Server, Part::Worker, Part::Issuer].map(|part| has(part, variable));
            assert_eq!(found, [servers, workers, issuers], "{variable}");
        }
        for part in [Part::Server, Part::Worker, Part::Issuer] {
            let order = orders.order(part, "x");
            assert!(!order.arguments.iter().any(|argument| argument.contains("secret")), "a command line is public");
        }
    }

    #[test]
    fn an_issuer_that_comes_back_is_where_it_was() {
        let orders = orders(&Settings::default());
        orders.issuer_is_at("127.0.0.1:7999");
        assert!(orders.order(Part::Issuer, "issuer").arguments.contains(&"127.0.0.1:7999".to_owned()));
        let worker = orders.order(Part::Worker, "worker-1");
        let last = worker.variables.iter().rfind(|(name, _)| name == "CARDCTL_WORKER_ISSUER_URL").unwrap();
        assert_eq!(last.1, "http://127.0.0.1:7999");
    }
}
