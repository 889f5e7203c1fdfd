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
