//! A sandbox whose data lies in a database of its own.

use std::process::Command;

use card_core::testing::Database;
use cardctl::instance::Record;
use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, eventually};

pub(super) struct Cluster {
    pub(super) sandbox: Sandbox,
    pub(super) database: Database,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self { sandbox: Sandbox::new(), database: Database::create() }
    }

    /// The program with the cluster's addresses in its environment.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command
            .env("CARDCTL_DATABASE", self.database.url())
            .env("CARDCTL_REDIS", self.database.redis())
            .env("CARDCTL_DELIVERY_PREFIX", self.database.prefix());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Runs it and insists on its exit code.
    pub(super) fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        let log = || std::fs::read_to_string(self.sandbox.paths().log()).unwrap_or_default();
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}\n{}\n{}", ended.stdout, ended.stderr, log());
        ended
    }

    /// `up -d -t processes` on any free port.
    pub(super) fn up(&self, flags: &[&str]) -> Record {
        self.expect(0, &[&["up", "-d", "-t", "processes", "--port", "0", "--wait-timeout", "60s"], flags].concat());
        self.sandbox.record()
    }

    /// What `status` says of the children: name and the rest.
    pub(super) fn children(&self) -> Vec<(String, Value)> {
        let status = self.run(&["status", "-o", "json"]).json();
        let children = status["processes"].as_array().cloned().unwrap_or_default();
        children.into_iter().map(|child| (child["name"].as_str().unwrap().to_owned(), child)).collect()
    }

    /// The names of those that are up, the oldest first.
    pub(super) fn names(&self) -> Vec<String> {
        self.children().into_iter().filter(|(_, child)| child["state"] == "up").map(|(name, _)| name).collect()
    }

    pub(super) fn child(&self, name: &str) -> Option<Value> {
        self.children().into_iter().find(|(found, _)| found == name).map(|(_, child)| child)
    }

    /// Five requests, watched to the end.
    pub(super) fn works(&self) {
        self.expect(0, &["submit", "-c", "5", "-w", "--timeout", "60s", "--progress", "none"]);
    }

    pub(super) fn until_nothing_runs(&self) {
        eventually("no process is left", || self.sandbox.processes().is_empty());
    }
}
