//! A load that runs beside the test: the real program, a user of its own for each request, and its audit.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use card_core::ids::TaskId;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The program gives up before this.
const END: Duration = Duration::from_secs(150);

pub(crate) struct Load(Child);

/// What the program said at its end.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) document: Value,
}

impl Load {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self(command.spawn().unwrap())
    }

    pub(crate) async fn ends(self) -> Ended {
        let output = timeout(END, self.0.wait_with_output()).await.expect("the load ends by itself").unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let document = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
        Ended { code: output.status.code(), document }
    }
}

impl Ended {
    pub(crate) fn run(&self) -> &str {
        self.document["run"].as_str().unwrap()
    }

    /// What was answered with 202.
    pub(crate) fn tasks(&self) -> BTreeSet<TaskId> {
        let tasks = self.document["tasks"].as_array().unwrap();
        tasks.iter().map(|task| task["id"].as_str().unwrap().parse().unwrap()).collect()
    }
}
