use std::io::Read;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::{Ended, Sandbox, eventually};

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

/// Nothing happens any more after the line that the reader waited for: the next write would come never.
#[test]
fn what_follows_ends_when_its_reader_goes_away_and_not_at_the_next_line() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &["up", "-d", "--port", "0"]);
    sandbox.expect(0, &["submit", "-c", "1", "-w", "--run", "followed"]);
    sandbox.expect(0, &["queue", "pause"]);
    for line in [
        "watch --all --from 0 -o jsonl | grep -m1 succeeded",
        "watch --all --from 0 | grep -m1 succeeded",
        "logs -f | head -1",
        "logs -f -o jsonl | head -1",
        "status --watch | head -1",
        "status --watch -o jsonl | head -1",
        "submit -c 1 -w -o jsonl | head -1",
    ] {
        // Whether the program itself ended well, not only the reader.
        let script = format!("set -o pipefail; timeout 60 $CARDCTL {line} >/dev/null");
        let mut ended = sandbox.program("bash", &["-c", &script]);
        assert_eq!(ended.status().unwrap().code(), Some(0), "{line}");
    }
    sandbox.expect(0, &["queue", "resume"]);
    sandbox.expect(0, &["down"]);
}

/// A server that takes the connection and never answers.
#[test]
fn the_first_signal_ends_a_command_that_waits_for_an_answer() {
    let sandbox = Sandbox::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for (arguments, signal, code) in [
        (&["tasks", "list"][..], Signal::SIGINT, 130),
        (&["dlq", "list"], Signal::SIGTERM, 143),
        (&["queue", "stats"], Signal::SIGINT, 130),
        (&["watch", "--all"], Signal::SIGTERM, 143),
        (&["status"], Signal::SIGINT, 130),
    ] {
        let mut command = sandbox.command(arguments);
        command.args(["-t", &url]).env("CARDCTL_OPERATOR_TOKEN", "operator-token-of-a-test").stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let (_connection, _) = silent.accept().unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        eventually(&format!("{arguments:?} ends"), || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn the_time_of_a_watch_counts_while_the_platform_does_not_answer() {
    let sandbox = Sandbox::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut watch = sandbox.command(&["watch", "--all", "--timeout", "300ms", "-o", "json", "-t", &url]);
    // Without the limit it would go on for a minute; 124 is its own, not that of the time this test has.
    let ended = Ended::of(watch.env("CARDCTL_OPERATOR_TOKEN", "operator-token-of-a-test").output().unwrap());
    assert_eq!((ended.code, &ended.json()["error"]["code"]), (Some(124), &"timeout".into()), "{}", ended.stderr);
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
