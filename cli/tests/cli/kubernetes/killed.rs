//! `up` may be killed anywhere: what it made by then is known to the next command.

use std::process::Stdio;
use std::time::Duration;

use card_kube::testing::Fault;

use super::Lab;
use crate::sandbox::eventually;

/// Kills `up` while its request number `at` has no answer. False: it makes fewer.
fn up_killed(lab: &Lab, at: usize) -> bool {
    let before = lab.server.seen().len();
    lab.server.fail(at, Fault::Slow(Duration::from_secs(3600)));
    let arguments = lab.up(&[]);
    let mut up = lab.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut ended = false;
    eventually("it is in the middle of it, or at its end", || {
        ended = up.try_wait().unwrap().is_some();
        ended || lab.server.seen().len() > before + at
    });
    up.kill().unwrap();
    up.wait().unwrap();
    lab.server.resume();
    !ended
}

#[test]
fn after_an_up_that_was_killed_anywhere_the_next_down_leaves_nothing() {
    let lab = Lab::new("lab");
    let mut made = 0;
    for at in (2..68).step_by(4) {
        assert!(up_killed(&lab, at), "request {at} was never made");
        made = made.max(lab.left().len());
        lab.sandbox.expect(0, &["down", "-t", "kube", "--context", "lab", "--purge", "--yes"]);
        assert_eq!(lab.left(), Vec::<String>::new(), "killed at request {at}");
    }
    assert!(made > 20, "it was never killed late: {made} objects at most");
}

#[test]
fn the_next_up_goes_on_with_one_that_was_killed() {
    let lab = Lab::new("lab");
    assert!(up_killed(&lab, 30));
    let half = lab.left();
    lab.deployed();
    let whole = lab.left();
    assert!(whole.len() > half.len() && half.iter().all(|name| whole.contains(name)), "{half:?} {whole:?}");
}

#[test]
fn a_down_that_was_killed_is_gone_on_with() {
    let lab = Lab::new("lab");
    lab.deployed();
    lab.server.fail_on("DELETE", "/deployments/", Fault::Slow(Duration::from_secs(3600)));
    let arguments = ["down", "-t", "kube", "--purge", "--yes"];
    let mut down = lab.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("it deletes", || {
        lab.server.seen().iter().any(|seen| seen.method == "DELETE" && seen.path.contains("/deployments/"))
    });
    down.kill().unwrap();
    down.wait().unwrap();
    assert!(!lab.left().is_empty());
    lab.sandbox.expect(0, &arguments);
    assert_eq!(lab.left(), Vec::<String>::new());
}
