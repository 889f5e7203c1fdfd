//! Where what is applied comes up: `up -- CMD` leaves what was up before and takes what it brought; and what all of it asks
//! the API for.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use card_kube::testing::{ApiServer, Fault, Seen};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{Lab, NAMESPACE};
use crate::sandbox::{Ended, Sandbox, eventually, free_port};

const WORKLOADS: [&str; 2] = ["Deployment", "StatefulSet"];

/// What controllers and nodes would say of what was applied: all of it runs.
fn comes_up(server: &ApiServer, token: &str, api: SocketAddr) {
    for kind in WORKLOADS {
        for object in server.all(kind) {
            let name = object["metadata"]["name"].as_str().unwrap();
            let generation = &object["metadata"]["generation"];
            if object["status"]["observedGeneration"] == *generation {
                continue;
            }
            let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
            let status = json!({"observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
                "readyReplicas": replicas, "availableReplicas": replicas, "currentReplicas": replicas,
                "conditions": [{"type": "Available", "status": "True"}]});
            // It may have been deleted meanwhile.
            if server.get(kind, Some(NAMESPACE), name).is_some() {
                server.edit((kind, Some(NAMESPACE), name), "controller", "status", |object| object["status"] = status);
            }
        }
    }
    if server.get("Pod", Some(NAMESPACE), "server-0").is_none()
        && let Some(service) = server.get("Service", Some(NAMESPACE), "server")
    {
        server.put(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "server-0", "namespace": NAMESPACE, "labels": service["spec"]["selector"]},
            "spec": {"containers": [{"name": "server", "ports": [{"name": "http", "containerPort": 7400}]}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
        server.listens(NAMESPACE, "server-0", 7400, api);
    }
    let secret = ("Secret", Some(NAMESPACE), "card-secrets");
    let token = json!(BASE64_STANDARD.encode(token));
    if server.get(secret.0, secret.1, secret.2).is_some_and(|found| found["data"]["operator-token"] != token) {
        server.edit(secret, "test", "", |secret| secret["data"]["operator-token"] = token);
    }
}

/// Runs `cardctl` in a cluster where what is applied comes up, with a real platform behind its service.
fn with_pods(lab: &Lab, run: impl FnOnce()) {
    let platform = Sandbox::new();
    let record = platform.up();
    let token = std::fs::read_to_string(cardctl::instance::Paths::operator_token(&record.data_dir)).unwrap();
    let api: SocketAddr = record.url.trim_start_matches("http://").parse().unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                comes_up(&lab.server, token.trim(), api);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        // Whatever becomes of the test, the thread ends.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
}

fn up<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["up", "-t", "kube", "--context", "lab", "--wait-timeout", "60s"], &super::IMAGES[..], more].concat()
}

fn runs(lab: &Lab) -> bool {
    WORKLOADS.iter().any(|kind| !lab.server.all(kind).is_empty())
}

#[test]
fn what_a_command_brought_goes_with_it() {
    let lab = Lab::new("lab");
    with_pods(&lab, || {
        let ended = lab.sandbox.expect(0, &up(&["--", "sh", "-c", "$CARDCTL submit -c 1 -w"]));
        assert!(!runs(&lab), "{}", ended.stderr);
        // The command's own end is that of `up`.
        lab.sandbox.expect(3, &up(&["--", "sh", "-c", "exit 3"]));
        assert!(!runs(&lab));
    });
}

#[test]
fn a_platform_that_was_up_stays_whatever_up_changed() {
    let lab = Lab::new("lab");
    with_pods(&lab, || {
        lab.sandbox.expect(0, &up(&["-d"]));
        lab.sandbox.expect(0, &["scale", "servers=2", "-t", "kube"]);
        let replicas = || lab.server.get("Deployment", Some(NAMESPACE), "server").unwrap()["spec"]["replicas"].clone();
        let ways: [&[&str]; 3] = [&[], &["--workers", "2"], &["--set", "worker.concurrency=3"]];
        for more in ways {
            let arguments = up(&[more, &["--", "true"]].concat());
            let ended = lab.sandbox.expect(0, &arguments);
            assert!(ended.stderr.contains("was already running"), "{more:?}: {}", ended.stderr);
            assert_eq!(replicas(), json!(2), "{more:?}");
        }
    });
}

#[test]
fn the_page_of_a_cluster_opens_where_this_machine_has_a_way_to_it() {
    let lab = Lab::new("lab");
    let (browser, seen) = (lab.sandbox.path().join("browser"), lab.sandbox.path().join("seen"));
    let look = "curl --silent --output /dev/null --write-out '%{http_code} %{url}\\n' \"$@\"";
    std::fs::write(&browser, format!("#!/bin/sh\n{look} >>'{}'\n", seen.display())).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let open = |more: &[&str]| {
        let mut command = lab.command(&up(&[&["--open"], more].concat()));
        command.env("BROWSER", &browser);
        command
    };
    with_pods(&lab, || {
        let ended = Ended::of(open(&["-d"]).output().unwrap());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("the page was not opened: this machine has no way to it"), "{}", ended.stderr);
        assert!(!seen.exists());
        let port = free_port().to_string();
        let mut command = open(&["--port", &port]);
        let mut up = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let read = || std::fs::read_to_string(&seen).unwrap_or_default();
        eventually("opened", || read().ends_with('\n'));
        assert_eq!(read(), format!("200 http://127.0.0.1:{port}/\n"));
        kill(Pid::from_raw(up.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        assert_eq!(up.wait().unwrap().code(), Some(130));
    });
}

/// Sends a signal once `is_time` and gives the exit code.
fn signalled(lab: &Lab, arguments: &[&str], signal: Signal, is_time: impl Fn() -> bool) -> Option<i32> {
    let mut up = lab.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("it is in the middle of it", is_time);
    kill(Pid::from_raw(up.id().try_into().unwrap()), signal).unwrap();
    up.wait().unwrap().code()
}

#[test]
fn what_is_stopped_by_a_signal_takes_away_what_it_brought() {
    let lab = Lab::new("lab");
    let here = lab.sandbox.work().join("here");
    let command = format!("touch {}; sleep 600", here.display());
    let arguments = up(&["--", "sh", "-c", &command]);
    // In the middle of the start: nothing comes up here by itself.
    let code = signalled(&lab, &arguments, Signal::SIGINT, || {
        lab.server.get("Deployment", Some(NAMESPACE), "server").is_some()
    });
    assert_eq!((code, runs(&lab)), (Some(130), false));
    with_pods(&lab, || {
        let code = signalled(&lab, &arguments, Signal::SIGTERM, || here.exists());
        assert_eq!(code, Some(143));
        assert!(!runs(&lab));
        // And leaves what was there.
        std::fs::remove_file(&here).unwrap();
        lab.sandbox.expect(0, &up(&["-d"]));
        assert_eq!(signalled(&lab, &arguments, Signal::SIGTERM, || here.exists()), Some(143));
        assert!(runs(&lab));
    });
}

#[test]
fn where_the_cluster_does_not_say_what_was_there_nothing_is_taken_down() {
    let lab = Lab::new("lab");
    with_pods(&lab, || {
        lab.sandbox.expect(0, &up(&["-d"]));
        let refused = Fault::status(403, "Forbidden", "deployments.apps is forbidden: User \"ada\" cannot list");
        lab.server.fail_on("GET", "/namespaces/cardctl/deployments", refused);
        let ended = lab.sandbox.run(&up(&["--", "true"]));
        assert!(runs(&lab), "{:?} {}", ended.code, ended.stderr);
    });
}

/// What somebody must be allowed to do for a request, as the API names it; None for what may be forbidden.
fn right(seen: &Seen) -> Option<String> {
    let parts: Vec<&str> = seen.path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.as_slice() {
        ["api", "v1", rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => return None,
    };
    let (resource, name, sub) = match rest {
        ["namespaces", _] => ("namespaces", true, None),
        ["namespaces", _, resource, rest @ ..] => (*resource, !rest.is_empty(), rest.get(1)),
        // Of the whole cluster: which nodes there are only explains.
        _ => return None,
    };
    let verb = match (seen.method.as_str(), name, seen.parameter("watch").is_some()) {
        ("GET", true, _) => "get",
        ("GET", false, false) => "list",
        ("GET", false, true) => "watch",
        ("POST", ..) => "create",
        ("PATCH", ..) => "patch",
        ("DELETE", ..) => "delete",
        _ => "update",
    };
    // Who may not look at their namespace is told nothing new by it.
    let sub = sub.map(|sub| format!("/{sub}")).unwrap_or_default();
    Some(format!("{verb} {resource}{sub}")).filter(|right| right != "get namespaces")
}

#[test]
fn doctor_asks_for_every_right_that_up_and_down_use() {
    let lab = Lab::new("lab");
    let mut used = BTreeSet::new();
    with_pods(&lab, || {
        lab.sandbox.expect(0, &up(&["-d"]));
        lab.sandbox.expect(0, &up(&["-d", "--set", "worker.concurrency=3"]));
        lab.sandbox.expect(0, &["down", "-t", "kube"]);
        used.extend(lab.server.seen().iter().filter_map(right));
    });
    assert!(used.contains("get pods/portforward") && used.contains("delete services"), "{used:?}");
    let allowed = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {},
        "status": {"allowed": true}});
    lab.server.fail_always("/selfsubjectaccessreviews", Fault::Answer(201, allowed));
    lab.sandbox.run(&["doctor", "-t", "kube", "-o", "json"]);
    let asked: BTreeSet<String> = lab
        .server
        .seen()
        .iter()
        .filter(|seen| seen.path.ends_with("/selfsubjectaccessreviews"))
        .map(|seen| {
            let about = &seen.body.as_ref().unwrap()["spec"]["resourceAttributes"];
            let sub = about["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!("{} {}{sub}", text(&about["verb"]), text(&about["resource"]))
        })
        .collect();
    let unasked: Vec<_> = used.difference(&asked).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
}
