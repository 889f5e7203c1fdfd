use std::process::Stdio;

use cardctl::instance::{Process, Record};
use nix::sys::signal::Signal;

use crate::sandbox::{Ended, Sandbox, eventually, free_port};

/// The demo takes the default port or the next free one; a test takes any.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let settings = format!("[server]\nport = {}\n", free_port());
    std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
    sandbox
}

#[test]
fn a_first_look_from_nothing_to_a_verdict_and_nothing_left_running() {
    let sandbox = sandbox();
    let ended = sandbox.expect(0, &["demo", "--down"]);
    assert!(!ended.stdout.contains('\x1b'));
    for part in ["ready in ", "20 tasks, 20 succeeded", "nothing lost, duplicated or stuck", "its data is kept"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    sandbox.assert_nothing_runs();
    sandbox.expect(0, &["up", "-d"]);
    for kind in ["replacement", "purchase"] {
        let kept = sandbox.expect(0, &["tasks", "list", "--kind", kind, "-o", "json"]).json();
        assert_eq!(kept["items"].as_array().unwrap().len(), 10, "the requests are kept, the load is cleaned up");
    }
}

#[test]
fn an_interrupted_look_leaves_the_platform_and_says_so() {
    let sandbox = sandbox();
    let child = sandbox.command(&["demo", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let accepted = || sandbox.run(&["tasks", "list", "--kind", "replacement", "-o", "jsonl"]).stdout.lines().count();
    eventually("requests", || accepted() > 3);
    Process::of(child.id()).unwrap().signal(Signal::SIGINT).unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let document = ended.json();
    assert_eq!((&document["verdict"], &document["left_running"]), (&"inconclusive".into(), &true.into()));
    assert!(Record::running(&sandbox.paths()).is_some());
    sandbox.expect(0, &["down"]);
}
