//! minikube before anything is deployed into it: found as it is, or started.

use crate::context::Context;
use crate::failure::Failure;
use crate::minikube::{Minikube, State};
use card_core::exit::Exit;

/// Sees to it that the profile runs. One that runs is not touched.
pub(super) async fn ready(context: &Context) -> Result<(), Failure> {
    let minikube = Minikube::new(&context.settings.settings.minikube.profile);
    let printer = &context.printer;
    let profile = minikube.profile();
    match minikube.state().await? {
        State::Running => return Ok(()),
        State::Absent => printer.say(format!("minikube has no profile {profile:?}; creating it")),
        State::Stopped(what) => {
            printer.say(format!("minikube's profile {profile:?} is not running ({what}); starting it"))
        }
        // To mend it would change what other programs use.
        State::Misconfigured => {
            return Err(Failure::new(
                "minikube",
                Exit::NotReady,
                "the kubeconfig has an outdated address for minikube",
            )
            .fix(format!("minikube update-context --profile {profile}")));
        }
    }
    let mut last = String::new();
    minikube
        .start(context, |line| {
            if line != last {
                printer.step(&line);
                last = line;
            }
        })
        .await
}
