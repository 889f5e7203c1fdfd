//! What goes wrong with a cluster, in the shape of every other failure.

use card_core::telemetry::mask::mask;
use card_kube::apply::ApplyError;
use card_kube::cluster::ClusterError;
use card_kube::diagnose::Finding;

use crate::failure::Failure;
use card_core::exit::Exit;

/// Lines of a program's own words that are shown with a finding.
const LOG_LINES: usize = 8;

/// Of a cluster that was not used, or did not answer.
#[must_use]
pub fn cluster(error: &ClusterError) -> Failure {
    let (code, exit) = match error {
        ClusterError::NoKubeconfig { .. } | ClusterError::Kubeconfig { .. } => ("kubeconfig", Exit::NotReady),
        ClusterError::NoContext { .. } => ("no-context", Exit::NotReady),
        ClusterError::UnknownContext { .. } => ("unknown-context", Exit::NotReady),
        ClusterError::Unusable { .. } => ("context", Exit::NotReady),
        ClusterError::NotAllowed { .. } => ("context-not-allowed", Exit::NotReady),
        ClusterError::Changed { .. } | ClusterError::ContextChanged { .. } => ("cluster-changed", Exit::NotReady),
        ClusterError::Forbidden { .. } => ("forbidden", Exit::Unknown),
        ClusterError::Unauthorised { .. } | ClusterError::Login { .. } => ("unauthorised", Exit::Unknown),
        ClusterError::Tls { .. } | ClusterError::ClientCertificate { .. } => ("tls", Exit::Unknown),
        ClusterError::Unreachable { .. } | ClusterError::Timeout { .. } => ("cluster-unreachable", Exit::Unknown),
        ClusterError::Refused { .. } | ClusterError::Nonsense { .. } => ("cluster", Exit::Unknown),
    };
    let failure = Failure::new(code, exit, error.to_string());
    match error.fix() {
        Some(fix) => failure.fix(fix),
        None => failure,
    }
}

/// Of an apply that was refused, or could not be made.
#[must_use]
pub fn apply(error: &ApplyError) -> Failure {
    let (applied, refused) = match error {
        ApplyError::Cluster(error) => {
            return cluster(error).left("objects applied before are kept; run the same command again to continue");
        }
        ApplyError::Refused { refused, applied } => (applied, refused.as_slice()),
        _ => {
            let failure = Failure::new("not-applied", Exit::DeployFailed, error.to_string());
            return error.fix().into_iter().fold(failure, Failure::fix);
        }
    };
    let message = match refused {
        [one] => format!("{} was refused", one.object),
        several => format!("{} objects were refused", several.len()),
    };
    let failure = refused.iter().fold(Failure::new("not-applied", Exit::DeployFailed, message), Failure::evidence);
    let done = applied.changes.len();
    error
        .fix()
        .into_iter()
        .fold(failure, Failure::fix)
        .left(format!("the {done} objects before it are applied; run the same command again to continue"))
}

/// Of a deployment that does not start: each finding with its evidence, the first one's fix.
#[must_use]
pub fn findings(message: String, exit: Exit, findings: &[Finding]) -> Failure {
    let code = findings.first().map_or("not-ready", |finding| finding.reason.as_str());
    let failure = findings.iter().fold(Failure::new(code, exit, message), |failure, finding| {
        lines(finding).into_iter().fold(failure, Failure::evidence)
    });
    findings.first().map(|finding| finding.fix.clone()).into_iter().fold(failure, Failure::fix)
}

/// A finding as lines: what, why, the event, how it ended, what it said.
fn lines(finding: &Finding) -> Vec<String> {
    let place = match &finding.container {
        Some(container) => format!("{}, container {container}", finding.object),
        None => finding.object.to_string(),
    };
    let mut lines = vec![format!("{}: {} ({place})", finding.owner, finding.reason.as_str())];
    let mut line = |label: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("  {label:<7} {text}"));
        }
    };
    line("what", &mask(&finding.message));
    line("event", finding.event.as_deref().unwrap_or_default());
    if let Some(code) = finding.exit_code {
        let crashes = finding.crashes.map(|crashes| format!(", {crashes} times so far")).unwrap_or_default();
        line("exit", &format!("{code}{crashes}"));
    }
    let from = finding.log_lines.len().saturating_sub(LOG_LINES);
    for said in &finding.log_lines[from..] {
        // A program's own words may hold anything.
        line("log", &mask(said));
    }
    line("cause", &finding.cause);
    lines
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_is_refused_for_safety_is_told_from_what_can_not_be_reached() {
        let refused = cluster(&ClusterError::NotAllowed {
            context: "prod".into(),
            server: "https://prod".into(),
            why: "prod is not this machine".into(),
        });
        assert_eq!((refused.code, refused.exit), ("context-not-allowed", Exit::NotReady));
        assert!(refused.fix.unwrap().contains("--allow-context prod"));
        let gone = cluster(&ClusterError::Unreachable { server: "https://x".into(), reason: "refused".into() });
        assert_eq!((gone.code, gone.exit), ("cluster-unreachable", Exit::Unknown));
        let none = cluster(&ClusterError::NoKubeconfig { looked: vec![PathBuf::from("/x")] });
        assert_eq!(none.exit, Exit::NotReady);
    }
}
