//! `up -- CMD`.

use std::process::Stdio;

use cardctl::instance::{Process, Record};
use nix::sys::signal::Signal;

use crate::sandbox::{Sandbox, eventually};

#[test]
fn a_command_finds_the_platform_and_its_code_is_ours() {
    let sandbox = Sandbox::new();
    let script = "test -n \"$CARDCTL_URL\" && $CARDCTL status >&2 && echo mine; exit 41";
    let ended = sandbox.run(&["up", "--ephemeral", "--port", "0", "--", "bash", "-c", script]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(41), "mine\n"), "{}", ended.stderr);
    sandbox.assert_nothing_runs();
    assert_eq!(std::fs::read_dir(sandbox.path().join("tmp")).unwrap().count(), 0, "temporary data is gone");
}

#[test]
fn a_platform_that_ran_before_is_left_running() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["up", "--", "true"]);
    sandbox.expect(0, &["status"]);
}

#[test]
fn a_platform_that_ran_before_and_is_started_anew_for_a_command_is_left_running_too() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let other = crate::sandbox::free_port().to_string();
    let ended = sandbox.expect(0, &["up", "--restart", "--port", &other, "--", "true"]);
    assert!(ended.stderr.contains("was already running"), "{}", ended.stderr);
    sandbox.expect(0, &["status"]);
}

#[test]
fn a_command_that_there_is_not_is_named() {
    let sandbox = Sandbox::new();
    let ended = sandbox.expect(3, &["up", "--port", "0", "--", "no-such-command"]);
    assert!(ended.stderr.contains("no-such-command"), "{}", ended.stderr);
    sandbox.assert_nothing_runs();
}

#[test]
fn the_platform_does_not_outlive_a_killed_caller() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["up", "--port", "0", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("ready", || sandbox.run(&["status"]).code == Some(0));
    let served = Record::running(&sandbox.paths()).unwrap().process;
    Process::of(child.id()).unwrap().signal(Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    eventually("the platform ends", || !served.is_alive());
}

/// A shell that waits for a process of its own, and for one in a session of its own that has lost its parent.
const FAMILY: &str = "sleep 1000 & echo $! > child; setsid sh -c 'sleep 1001 & echo $! > orphan' & wait $!; \
                      touch ready; wait";

#[test]
fn what_the_command_started_does_not_outlive_a_terminated_up() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(&["up", "--ephemeral", "--port", "0", "--", "bash", "-c", FAMILY]);
        let mut up = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the family is there", || sandbox.work().join("ready").exists());
        let number = |name: &str| std::fs::read_to_string(sandbox.work().join(name)).unwrap().trim().parse().unwrap();
        let family: Vec<_> = ["child", "orphan"].into_iter().map(|name| Process::of(number(name)).unwrap()).collect();
        Process::of(up.id()).unwrap().signal(signal).unwrap();
        assert_eq!(up.wait().unwrap().code(), Some(128 + 15), "{signal}");
        eventually("all of the family has ended", || family.iter().all(|process| !process.is_alive()));
        sandbox.assert_nothing_runs();
        assert_eq!(std::fs::read_dir(sandbox.path().join("tmp")).unwrap().count(), 0, "temporary data is gone");
    }
}
