//! Starting a cluster that does not run.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::timeout;

use super::event::{self, Event};
use super::{Minikube, missing};
use crate::context::Context;
use crate::failure::Failure;
use crate::instance::{detached, program};
use card_core::exit::Exit;

/// A first start fetches a base image and Kubernetes.
const START_LIMIT: Duration = Duration::from_secs(15 * 60);

impl Minikube {
    /// Makes it and starts it, or goes on with one that was stopped, as minikube does by itself: a profile that is there keeps
    /// what it was made with. Tells each step.
    ///
    /// # Errors
    /// It does not start; with minikube's reason.
    pub async fn start(&self, context: &Context, mut tell: impl FnMut(String)) -> Result<(), Failure> {
        // What it leaves running, such as a virtual machine, is not to keep open what the caller has: a lock, a pipe.
        let mut command = self.command_by(program(), &[detached::BECOME, "minikube", "start", "--output", "json"]);
        let mut child = command.arg0("cardctl").spawn().map_err(missing)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut ended_with = None;
        let reading = async {
            let lines = async {
                let Some(stdout) = stdout else { return };
                let mut lines = BufReader::new(stdout).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    match event::read(&line) {
                        Some(Event::Step { name, number, total }) => tell(match (number, total) {
                            (Some(number), Some(total)) => format!("minikube {number}/{total}: {name}"),
                            _ => format!("minikube: {name}"),
                        }),
                        Some(Event::Download { artifact, share: Some(share) }) => {
                            tell(format!("minikube: fetching {artifact}, {} %", share / 10));
                        }
                        Some(Event::Warning(message)) => tell(format!("minikube: {message}")),
                        Some(error @ Event::Error { .. }) => ended_with = Some(error),
                        Some(Event::Download { .. }) | None => {}
                    }
                }
            };
            let rest = async {
                let mut text = String::new();
                if let Some(mut stderr) = stderr {
                    let _ = stderr.read_to_string(&mut text).await;
                }
                text
            };
            // Both, or the one that nobody reads stops it.
            let ((), said) = tokio::join!(lines, rest);
            (child.wait().await, said)
        };
        let (status, said) = tokio::select! {
            read = timeout(START_LIMIT, reading) => read.map_err(|_| late(self.profile()))?,
            () = context.stop.cancelled() => return Err(context.interruption()
                .evidence("minikube was starting")
                .fix(format!("minikube start --profile {}", self.profile()))
                .left("the profile may be half started; minikube continues the next time")),
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(failed(self.profile(), ended_with, &said)),
            Err(error) => Err(missing(error)),
        }
    }
}

fn late(profile: &str) -> Failure {
    let minutes = START_LIMIT.as_secs() / 60;
    Failure::new("minikube", Exit::NotReady, format!("minikube did not start within {minutes} minutes"))
        .fix(format!("minikube start --profile {profile}"))
}

fn failed(profile: &str, error: Option<Event>, said: &str) -> Failure {
    let failure = |message: String| Failure::new("minikube", Exit::NotReady, message);
    match error {
        Some(Event::Error { message, id, advice }) => {
            let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
            failure(format!("minikube did not start{id}"))
                .evidence(message)
                .fix(advice.unwrap_or_else(|| format!("minikube start --profile {profile}")))
        }
        _ => said
            .lines()
            .rev()
            .filter(|line| !line.trim().is_empty())
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .fold(failure("minikube did not start".to_owned()), Failure::evidence)
            .fix(format!("minikube start --profile {profile}")),
    }
}
