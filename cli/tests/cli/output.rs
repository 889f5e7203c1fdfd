use std::io::Read;
use std::process::Stdio;

use crate::sandbox::{Sandbox, eventually};

#[test]
fn a_pipe_gets_no_escape() {
    let sandbox = Sandbox::new();
    for arguments in
        [&["--help"][..], &["status"], &["doctor"], &["config", "show"], &["help", "exit-codes"], &["nonsense"]]
    {
        let ended = sandbox.run(arguments);
        assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'), "{arguments:?}");
    }
    let coloured = sandbox.run(&["--color", "always", "status"]);
    assert!(coloured.stdout.contains('\x1b'));
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let sandbox = Sandbox::new();
    for line in
        ["config show | head -1", "completions zsh | head -1", "--help | head -1", "config show -o json | head -1"]
    {
        let script = format!("set -o pipefail; $CARDCTL {line} >/dev/null");
        assert_eq!(sandbox.program("bash", &["-c", &script]).status().unwrap().code(), Some(0), "{line}");
    }
    let mut child =
        sandbox.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn every_document_has_its_version() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["status"][..],
        &["doctor"],
        &["config", "show"],
        &["config", "path"],
        &["version"],
        &["help", "exit-codes"],
        &["down"],
        &["logs"],
        &["env"],
        &["nonsense"],
    ] {
        let mut line = arguments.to_vec();
        line.extend(["-o", "json"]);
        sandbox.run(&line).json();
    }
}

#[test]
fn with_nothing_running_the_error_says_where_it_looked() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["env"]));
    insta::assert_snapshot!(Sandbox::new().transcript(&["status"]));
    insta::assert_snapshot!(Sandbox::new().transcript(&["env", "-o", "json"]));
}

#[test]
fn a_stream_ends_when_its_reader_goes_away_even_if_nothing_happens() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for line in ["status --watch", "status --watch -o jsonl", "logs -f"] {
        let script = format!("set -o pipefail; $CARDCTL {line} | head -1 >/dev/null");
        let mut child = sandbox.program("bash", &["-c", &script]).spawn().unwrap();
        let mut code = None;
        eventually(line, || {
            code = child.try_wait().unwrap();
            code.is_some()
        });
        assert_eq!(code.unwrap().code(), Some(0), "{line}");
    }
}
