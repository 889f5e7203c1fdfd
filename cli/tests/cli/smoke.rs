use std::process::Stdio;

use cardctl::instance::Process;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, eventually, free_port};

const STEPS: [&str; 12] = [
    "ready",
    "submit-and-watch",
    "stream-resume",
    "idempotency",
    "exclusivity",
    "authorisation",
    "purchase-and-history",
    "read-your-write",
    "etag-and-304",
    "dead-letter-and-retry",
    "load-with-audit",
    "clean-up",
];

fn failed(document: &Value) -> Vec<&str> {
    let steps = document["steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step["name"].as_str().unwrap()).collect::<Vec<_>>(), STEPS);
    let failed = steps.iter().filter(|step| step["ok"] == false);
    failed.map(|step| step["name"].as_str().unwrap()).collect()
}

#[test]
fn a_platform_of_its_own_passes_and_leaves_evidence_and_nothing_else() {
    let sandbox = Sandbox::new();
    let arguments = [
        "smoke",
        "--up",
        "--load",
        "5u/500ms",
        "--artifacts",
        "out",
        "--junit",
        "out/junit/smoke.xml",
        "--seed",
        "7",
        "-o",
        "json",
    ];
    let ended = sandbox.expect(0, &arguments);
    let document = ended.json();
    assert_eq!((&document["verdict"], &document["seed"], failed(&document)), (&"pass".into(), &7.into(), vec![]));
    let kept = std::fs::read(sandbox.work().join("out/smoke.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), document);
    for name in ["smoke.log", "journal.jsonl", "platform.log", "junit/smoke.xml"] {
        assert!(std::fs::metadata(sandbox.work().join("out").join(name)).is_ok_and(|file| file.len() > 0), "{name}");
    }
    sandbox.assert_nothing_runs();
    assert_eq!(std::fs::read_dir(sandbox.path().join("tmp")).unwrap().count(), 0, "temporary files are left");
}

#[test]
fn the_platform_that_runs_is_proved_and_left_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let document = sandbox.expect(0, &["smoke", "--load", "3u/300ms", "-o", "json"]).json();
    assert!(failed(&document).is_empty());
    let tasks = sandbox.expect(0, &["tasks", "list", "--kind", "replacement", "-o", "json"]).json();
    assert_eq!(tasks["items"], serde_json::json!([]));
    sandbox.expect(0, &["status"]);
}

#[test]
fn a_step_that_fails_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    // Without the breaker, which would keep requests waiting for an issuer that never comes back.
    let settings = "[issuer]\nerror-rate = 1.0\n[worker.retry]\nmax-attempts = 2\nbase = '1ms'\n\
        [worker.issuer]\nbreaker-min-calls = 1000000\n";
    std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
    let document =
        sandbox.expect(6, &["smoke", "--up", "--load", "2u/300ms", "--artifacts", "out", "-o", "json"]).json();
    assert_eq!(
        (&document["verdict"], failed(&document)),
        (&"fail".into(), vec!["submit-and-watch", "dead-letter-and-retry", "load-with-audit"])
    );
    assert!(sandbox.work().join("out/smoke.json").exists() && sandbox.work().join("out/journal.jsonl").exists());
    sandbox.assert_nothing_runs();
}

#[test]
fn what_can_not_be_reached_is_exit_4_with_its_evidence() {
    let sandbox = Sandbox::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let document = sandbox.expect(4, &["--target", &url, "smoke", "--artifacts", "out", "-o", "json"]).json();
    assert_eq!(failed(&document), STEPS);
    assert!(sandbox.work().join("out/smoke.json").exists());
}

#[test]
fn an_interruption_cleans_up_and_ends_its_platform() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["smoke", "--up", "--load", "5u/60s", "--artifacts", "out", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ledger = sandbox.work().join("out/journal.jsonl");
    eventually("load", || std::fs::metadata(&ledger).is_ok_and(|file| file.len() > 1000));
    Process::of(child.id()).unwrap().signal(Signal::SIGINT).unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, failed(&ended.json())), (Some(130), vec!["load-with-audit"]), "{}", ended.stderr);
    sandbox.assert_nothing_runs();
}

/// Old clients are part of what is looked at where they are served, and leave nothing behind.
#[test]
fn fronts_that_are_on_are_tried_as_their_old_clients_would() {
    let sandbox = Sandbox::new();
    let fronts = ["card-replacer", "shop", "shop-management", "buy-list", "buy-list-management"];
    let flags: Vec<_> = fronts.iter().map(|front| format!("--front={front}={}", free_port())).collect();
    let mut up = vec!["up", "-d", "--port", "0"];
    up.extend(flags.iter().map(String::as_str));
    sandbox.expect(0, &up);
    let document = sandbox.expect(0, &["smoke", "--load", "2u/300ms", "-o", "json"]).json();
    let steps = document["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "fronts").unwrap();
    assert_eq!(step["ok"], true, "{step}");
    assert!(fronts.iter().all(|front| step["detail"].as_str().unwrap().contains(front)), "{step}");
    sandbox.expect(0, &["down"]);
}
