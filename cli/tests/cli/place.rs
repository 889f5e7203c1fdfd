//! A platform of real processes on either engine: all in one, or a supervisor with its children on Postgres and Redis.

use std::process::Command;

use card_client::{Behaviour, Client, Token};
use card_core::testing::Database;
use cardctl::instance::{Paths, Process};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, eventually};

pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    database: Option<Database>,
}

impl Place {
    /// One of each engine, with these settings; not up yet.
    pub(crate) fn both(settings: &str) -> [Self; 2] {
        [None, Some(Database::create())].map(|database| {
            let sandbox = Sandbox::new();
            std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
            Self { sandbox, database }
        })
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        if let Some(database) = &self.database {
            command
                .env("CARDCTL_DATABASE", database.url())
                .env("CARDCTL_REDIS", database.redis())
                .env("CARDCTL_DELIVERY_PREFIX", database.prefix());
        }
        command
    }

    /// Runs it and insists on its exit code.
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = Ended::of(self.command(arguments).output().unwrap());
        let log = || std::fs::read_to_string(self.sandbox.paths().log()).unwrap_or_default();
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}\n{}\n{}", ended.stdout, ended.stderr, log());
        ended
    }

    pub(crate) fn up(&self) {
        let target = if self.database.is_some() { "processes" } else { "embedded" };
        self.expect(0, &["up", "-d", "-t", target, "--port", "0", "--wait-timeout", "60s"]);
    }

    /// `kill -9` to every process of it at once.
    pub(crate) fn kill(&self) {
        let all: Vec<_> = self.sandbox.processes().into_iter().filter_map(Process::of).collect();
        assert!(!all.is_empty());
        for process in all {
            let _ = process.signal(Signal::SIGKILL);
        }
        eventually("all of it is dead", || self.sandbox.processes().is_empty());
    }

    pub(crate) async fn issuer(&self, behaviour: Value) {
        let record = self.sandbox.record();
        let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
        let issuer = Client::new(&record.issuer_url.unwrap(), Some(Token::new(token.trim()))).unwrap();
        issuer.set_behaviour(&Behaviour(behaviour)).await.unwrap();
    }

    /// The tasks that a list means, newest first.
    pub(crate) fn tasks(&self, filter: &[&str]) -> Vec<Value> {
        let arguments = [&["tasks", "list", "--limit", "10000", "-o", "json"], filter].concat();
        self.expect(0, &arguments).json()["items"].as_array().unwrap().clone()
    }

    pub(crate) fn stats(&self) -> Value {
        self.expect(0, &["queue", "stats", "-o", "json"]).json()
    }
}
