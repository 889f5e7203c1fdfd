//! Whether the cluster runs.

use serde::Deserialize;

use super::{Called, Minikube, event};
use crate::failure::Failure;
use card_core::exit::Exit;

/// How far a profile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is no such profile.
    Absent,
    /// It is there, and something of it does not run; in minikube's words.
    Stopped(String),
    /// All of it runs, and the kubeconfig names it.
    Running,
    /// It runs, and the kubeconfig names another address for it.
    Misconfigured,
}

/// minikube's `GUEST_NOT_FOUND`: no profile by that name.
const NOT_FOUND: i32 = 85;
/// The exit code is a mask of three bits, and no error, up to here.
const MASK: i32 = 7;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    host: String,
    kubelet: String,
    #[serde(rename = "APIServer")]
    api_server: String,
    kubeconfig: String,
}

/// One node is an object, several are a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Nodes {
    One(Node),
    Many(Vec<Node>),
}

impl Minikube {
    /// How far it is.
    ///
    /// # Errors
    /// minikube is not there or can't say.
    pub async fn state(&self) -> Result<State, Failure> {
        let called = self.call(&["status", "--output", "json"]).await?;
        read(&called).ok_or_else(|| {
            let code = called.code.map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
            let failure = Failure::new("minikube", Exit::NotReady, format!("minikube status failed {code}"))
                .fix(format!("minikube status --profile {}", self.profile()));
            event::complaint(&called.stdout)
                .or_else(|| last_line(&called.stderr))
                .into_iter()
                .fold(failure, Failure::evidence)
        })
    }
}

fn last_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(ToOwned::to_owned)
}

fn read(called: &Called) -> Option<State> {
    match called.code {
        Some(NOT_FOUND) => return Some(State::Absent),
        Some(0..=MASK) => {}
        _ => return None,
    }
    // Notices may come first, each a line of its own.
    let nodes = called.stdout.lines().rev().find_map(|line| serde_json::from_str::<Nodes>(line).ok());
    let nodes = match nodes.or_else(|| serde_json::from_str(&called.stdout).ok())? {
        Nodes::One(node) => vec![node],
        Nodes::Many(nodes) => nodes,
    };
    // Of a node that is not a control plane this is beside the point.
    let good = |state: &str, wanted: &str| state == wanted || state == "Irrelevant";
    if nodes.is_empty() || nodes.iter().any(|node| node.host == "Nonexistent") {
        return Some(State::Absent);
    }
    for node in &nodes {
        for (part, state) in [("host", &node.host), ("kubelet", &node.kubelet), ("API server", &node.api_server)] {
            if !good(state, "Running") {
                return Some(State::Stopped(format!("{part} {}", state.to_lowercase())));
            }
        }
    }
    let configured = nodes.iter().all(|node| good(&node.kubeconfig, "Configured"));
    Some(if configured { State::Running } else { State::Misconfigured })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(code: i32, stdout: &str) -> Option<State> {
        read(&Called { code: Some(code), stdout: stdout.to_owned(), stderr: String::new() })
    }

    fn node(host: &str, kubelet: &str, api_server: &str, kubeconfig: &str) -> String {
        format!(
            r#"{{"Name":"minikube","Host":"{host}","Kubelet":"{kubelet}","APIServer":"{api_server}","Kubeconfig":"{kubeconfig}","Worker":false}}"#
        )
    }

    #[test]
    fn the_state_is_read_from_the_document_and_the_code_is_no_error() {
        assert_eq!(state(0, &node("Running", "Running", "Running", "Configured")), Some(State::Running));
        assert_eq!(state(4, &node("Running", "Running", "Running", "Misconfigured")), Some(State::Misconfigured));
        let stopped = state(7, &node("Stopped", "Stopped", "Stopped", "Stopped"));
        assert_eq!(stopped, Some(State::Stopped("host stopped".to_owned())));
        let halted = state(2, &node("Running", "Running", "Stopped", "Configured"));
        assert_eq!(halted, Some(State::Stopped("API server stopped".to_owned())));
    }

    #[test]
    fn several_nodes_are_a_list_and_a_worker_has_no_api_server() {
        let nodes = format!(
            "[{},{}]",
            node("Running", "Running", "Running", "Configured"),
            node("Running", "Running", "Irrelevant", "Irrelevant")
        );
        assert_eq!(state(0, &nodes), Some(State::Running));
    }

    #[test]
    fn a_profile_that_is_not_there_is_told_by_the_code() {
        let event =
            r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.info","data":{"message":"Profile not found"}}"#;
        assert_eq!(state(85, event), Some(State::Absent));
        assert_eq!(state(7, &node("Nonexistent", "Nonexistent", "Nonexistent", "Nonexistent")), Some(State::Absent));
    }

    #[test]
    fn notices_before_the_document_are_passed_over() {
        let notice = r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.warning","data":{"message":"old"}}"#;
        let text = format!("{notice}\n{}", node("Running", "Running", "Running", "Configured"));
        assert_eq!(state(0, &text), Some(State::Running));
    }

    #[test]
    fn what_can_not_be_read_is_no_state() {
        assert_eq!(state(0, "minikube\ntype: Control Plane"), None);
        assert_eq!(state(80, ""), None);
        assert_eq!(read(&Called { code: None, stdout: String::new(), stderr: String::new() }), None);
    }

    proptest! {
        #[test]
        fn anything_may_come(code in any::<i32>(), text in ".*") {
            let _ = state(code, &text);
        }
    }
}
