//! minikube, by its command line: whether the cluster runs, and starting one that does not. It never deletes or changes one
//! that is there.
//!
//! Written against what minikube documents of `-o json` and of its exit codes; nothing here reads sentences.

mod event;
mod start;
mod status;

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

pub use self::status::State;
use crate::failure::Failure;
use card_core::exit::Exit;

/// A profile of minikube, that is a cluster.
#[derive(Debug, Clone)]
pub struct Minikube {
    profile: String,
}

/// A call that only looks may take so long: it asks a virtual machine or a container.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// What a call printed, and its exit code.
struct Called {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Minikube {
    /// The profile by this name, whether it is there or not.
    #[must_use]
    pub fn new(profile: &str) -> Self {
        Self { profile: profile.to_owned() }
    }

    /// Its name, which is also that of its context in the kubeconfig.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_by("minikube", arguments)
    }

    fn command_by(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).args(["--profile", &self.profile]);
        // Its notices of new versions are nobody's business here.
        command.env("MINIKUBE_WANTUPDATENOTIFICATION", "false").env("MINIKUBE_IN_STYLE", "false");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn call(&self, arguments: &[&str]) -> Result<Called, Failure> {
        let output = timeout(LOOK_LIMIT, self.command(arguments).output())
            .await
            .map_err(|_| silent(arguments))?
            .map_err(missing)?;
        Ok(Called {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn silent(arguments: &[&str]) -> Failure {
    let seconds = LOOK_LIMIT.as_secs();
    Failure::new(
        "minikube",
        Exit::NotReady,
        format!("minikube {} did not finish within {seconds} s", arguments.join(" ")),
    )
    .fix("minikube logs --problems")
}

fn missing(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::new("minikube-missing", Exit::NotReady, "minikube is not installed")
            .evidence("there is no minikube on PATH")
            .fix("install it (https://minikube.sigs.k8s.io/docs/start), or use another cluster: cardctl up -t kube --context NAME");
    }
    Failure::new("minikube", Exit::NotReady, format!("minikube can't be run: {error}"))
        .fix("check that `minikube version` works")
}
