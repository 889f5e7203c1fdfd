//! Kubeconfigs as people have them, with the real program.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use card_kube::testing::Fault;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::Lab;
use crate::sandbox::Ended;

const MANIFEST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: b\n";

fn apply(lab: &Lab, variables: &[(&str, &str)]) -> Ended {
    std::fs::write(lab.sandbox.work().join("a.yaml"), MANIFEST).unwrap();
    let arguments = ["manifests", "apply", "-f", "a.yaml", "--dry-run", "-t", "kube", "--context", "lab", "-o", "json"];
    Ended::of(lab.command(&arguments).envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn an_address_without_a_scheme_is_one() {
    let lab = Lab::new("lab");
    let text = std::fs::read_to_string(lab.kubeconfig()).unwrap();
    lab.write_kubeconfig(&text.replace("http://", ""));
    assert_eq!(apply(&lab, &[]).code, Some(0));
    for server in ["a b", "https://", "http://127.0.0.1:99999", "127.0.0.1:1/x", "ftp://127.0.0.1", ":1", "[]"] {
        let url = text.lines().find_map(|line| line.trim().strip_prefix("server: ")).unwrap().to_owned();
        lab.write_kubeconfig(&text.replace(&url, &format!("'{server}'")));
        let ended = apply(&lab, &[]);
        assert_eq!(ended.code, Some(3), "{server}: {}", ended.stderr);
        assert_eq!(ended.json()["error"]["code"], "context", "{server}");
    }
}

#[test]
fn the_proxies_of_the_environment_are_not_for_this_machine() {
    let lab = Lab::new("lab");
    for variables in [
        vec![("HTTP_PROXY", "http://127.0.0.1:1"), ("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "127.0.0.1")],
        vec![("http_proxy", "http://127.0.0.1:1"), ("https_proxy", "nonsense"), ("ALL_PROXY", "socks5://127.0.0.1:1")],
    ] {
        let ended = apply(&lab, &variables);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

#[test]
fn an_extension_server_that_is_down_is_not_waited_for() {
    let lab = Lab::new("lab");
    lab.server.without_aggregated_discovery();
    let reason = "the server is currently unable to handle the request";
    lab.server.fail_always("/apis/batch/v1", Fault::status(503, "ServiceUnavailable", reason));
    let ended = apply(&lab, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    lab.server.resume();
    lab.server.fail_always("/configmaps", Fault::status(503, "ServiceUnavailable", reason));
    let ended = apply(&lab, &[]);
    assert!(ended.json()["error"].to_string().contains(reason), "{}", ended.stdout);
}

#[test]
fn labels_that_are_a_list_are_no_crash() {
    let lab = Lab::new("lab");
    std::fs::write(lab.sandbox.work().join("l.yaml"), MANIFEST.replace("  name: a\n", "  name: a\n  labels: []\n"))
        .unwrap();
    for command in [&["manifests", "apply", "-f", "l.yaml"][..], &["manifests", "diff", "-f", "l.yaml"]] {
        let ended = lab.sandbox.expect(5, &[command, &["-t", "kube", "--context", "lab", "-o", "json"]].concat());
        assert!(ended.json()["error"]["message"].as_str().unwrap().contains("metadata.labels"), "{}", ended.stdout);
    }
    assert_eq!(lab.writes(), 0);
}

/// A user who logs in by this script.
fn plugged(lab: &Lab, script: &str) {
    let path = lab.sandbox.path().join("plugin");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": path, "args": ["--client-secret", "hunter2"], "env": [{"name": "SECRET", "value": "hunter2"}]});
    let text = std::fs::read_to_string(lab.kubeconfig()).unwrap();
    lab.write_kubeconfig(&text.replace("user: {}", &format!("user: {{exec: {exec}}}")));
}

#[test]
fn a_plugin_is_run_once_for_a_command_and_what_it_was_given_is_told_nobody() {
    let lab = Lab::new("lab");
    let status =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}});
    plugged(&lab, &format!("echo x >> \"$0.runs\"\nprintf '%s' '{status}'"));
    let ended = Ended::of(lab.command(&lab.up(&[])).output().unwrap());
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(lab.sandbox.path().join("plugin.runs")).unwrap().lines().count(), 1);
    plugged_again(&lab, "exit 3");
    for ended in [apply(&lab, &[]), lab.sandbox.run(&["doctor", "-t", "kube", "--context", "lab"])] {
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"), "{}{}", ended.stdout, ended.stderr);
        assert!(
            format!("{}{}", ended.stdout, ended.stderr).contains("exit code 3"),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
    }
}

fn plugged_again(lab: &Lab, script: &str) {
    std::fs::write(lab.sandbox.path().join("plugin"), format!("#!/bin/sh\n{script}\n")).unwrap();
}

#[test]
fn a_signal_ends_a_plugin_that_hangs() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let lab = Lab::new("lab");
        plugged(&lab, "echo $$ > \"$0.pid\"\nexec sleep 1000");
        std::fs::write(lab.sandbox.work().join("a.yaml"), MANIFEST).unwrap();
        let mut command = lab.command(&["manifests", "diff", "-f", "a.yaml", "-t", "kube", "--context", "lab"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let pid = lab.sandbox.path().join("plugin.pid");
        until("the plugin runs", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        until("the plugin is gone", || lab.sandbox.processes().is_empty());
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
