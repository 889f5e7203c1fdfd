//! A terminal that is closed: what runs in it ends in order, as by SIGTERM, although nobody can read what it says.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cardctl::instance::{Process, Record};
use nix::sys::signal::Signal;

use crate::sandbox::{Sandbox, eventually};

/// The program in a terminal of its own, by script(1), whose end closes the terminal.
fn in_terminal(sandbox: &Sandbox, script: &str) -> Child {
    let mut command = sandbox.program("script", &["-qec", script, "/dev/null"]);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Kills script(1): the terminal's other end is gone, the kernel hangs up on all in it.
fn close(terminal: &mut Child) {
    Process::of(terminal.id()).unwrap().signal(Signal::SIGKILL).unwrap();
    terminal.wait().unwrap();
}

/// The exit code that a shell wrote down once the program had ended.
fn code(sandbox: &Sandbox) -> String {
    let path = sandbox.work().join("code");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    eventually("it ends", || read(&path).ends_with('\n'));
    read(&path).trim().to_owned()
}

/// A shell that outlives the hang-up and writes down how the program ended.
fn noted(arguments: &str) -> String {
    format!("bash -c 'trap \"\" TTOU; trap : HUP; $CARDCTL {arguments} & wait $!; wait $!; echo $? > code'")
}

#[test]
fn a_closed_terminal_ends_a_platform_in_order() {
    let sandbox = Sandbox::new();
    let mut terminal = in_terminal(&sandbox, "$CARDCTL up --ephemeral --port 0");
    eventually("ready", || sandbox.run(&["status"]).code == Some(0));
    let record = Record::running(&sandbox.paths()).unwrap();
    assert!(record.data_dir.exists());
    close(&mut terminal);
    eventually("it has ended", || !record.process.is_alive());
    assert!(!record.data_dir.exists(), "temporary data is gone");
    assert!(!sandbox.paths().record().exists(), "and so is the record: it was no crash");
    sandbox.assert_nothing_runs();
}

#[test]
fn a_closed_terminal_ends_a_load_test_with_its_audit_report_and_clean_up() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let script = noted("loadtest run -u 4 -d 60s --ramp 0s --out out --report json");
    let mut terminal = in_terminal(&sandbox, &script);
    let client = sandbox.client();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let accepted = || runtime.block_on(client.stats()).is_ok_and(|stats| stats.accepted_total > 20);
    eventually("it is under way", accepted);
    close(&mut terminal);
    assert_eq!(code(&sandbox), "143");
    let result = std::fs::read(sandbox.work().join("out/result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    let correctness = &result["correctness"];
    assert!(correctness["accepted"].as_u64().unwrap() > 0, "{correctness}");
    for fault in ["lost", "duplicate", "stuck"] {
        assert_eq!(correctness[fault], 0, "audited: {correctness}");
    }
    let left = sandbox.expect(0, &["tasks", "list", "--run", result["run"].as_str().unwrap(), "-o", "json"]).json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "cleaned up: {left}");
}

#[test]
fn a_closed_terminal_ends_a_smoke_test_with_its_clean_up() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut terminal = in_terminal(&sandbox, &noted("smoke --load 4u/60s"));
    let client = sandbox.client();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let accepted = || runtime.block_on(client.stats()).is_ok_and(|stats| stats.accepted_total > 40);
    eventually("its load is under way", accepted);
    close(&mut terminal);
    assert_eq!(code(&sandbox), "143");
    // What has no run is the one by which `up` saw that the platform is ready.
    let left = sandbox.expect(0, &["tasks", "list", "-o", "json"]).json();
    assert!(left["items"].as_array().unwrap().iter().all(|task| task["run"].is_null()), "cleaned up: {left}");
}

#[test]
fn a_closed_terminal_takes_down_what_a_smoke_test_brought_up() {
    let sandbox = Sandbox::new();
    let mut terminal = in_terminal(&sandbox, &noted("smoke --up --load 4u/60s"));
    let brought = || {
        let entries = std::fs::read_dir(sandbox.path().join("tmp")).unwrap().filter_map(Result::ok);
        let smoke = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("cardctl-smoke-"));
        smoke.map(|entry| entry.path().join("smoke/instance.json")).collect::<Vec<_>>()
    };
    let serves = |record: &Path| std::fs::read_to_string(record).is_ok_and(|text| text.contains("\"serving\""));
    eventually("it has brought up a platform", || brought().iter().any(|record| serves(record)));
    close(&mut terminal);
    assert_eq!(code(&sandbox), "143");
    eventually("nothing runs", || sandbox.processes().is_empty());
    assert_eq!(brought(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_is_to_outlive_its_terminal_does() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.program("nohup", &[env!("CARGO_BIN_EXE_cardctl"), "up", "--port", "0"]);
    let mut up = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("ready", || sandbox.run(&["status"]).code == Some(0));
    let process = Process::of(up.id()).unwrap();
    process.signal(Signal::SIGHUP).unwrap();
    // A signal that is ignored leaves no trace: what comes after it is answered.
    sandbox.expect(0, &["status"]);
    process.signal(Signal::SIGTERM).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_hang_up_is_no_second_request() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut command: Command = sandbox.command(&["submit", "-c", "400", "--rate", "100/s", "-w", "-o", "json"]);
    let submit = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    assert!(submit.stdout.as_ref().unwrap().as_raw_fd() > 2);
    let client = sandbox.client();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    eventually("it is under way", || runtime.block_on(client.stats()).is_ok_and(|stats| stats.accepted_total > 5));
    let process = Process::of(submit.id()).unwrap();
    for _ in 0..2 {
        process.signal(Signal::SIGHUP).unwrap();
    }
    let output = submit.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["accepted"].as_u64().unwrap() > 0, "what was done is reported: {document}");
}
