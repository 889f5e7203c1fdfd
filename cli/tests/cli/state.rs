//! State that can't be used: exit 3, the fix, and not a byte touched.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use cardctl::instance::Paths;

use crate::sandbox::{Ended, Sandbox};

/// A ledger that was written by this version, stopped.
fn with_ledger() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    let ledger = Paths::ledger(&sandbox.paths().dir);
    (sandbox, ledger)
}

/// `looks_bad`: whether that can be told without opening it.
fn refused(sandbox: &Sandbox, ledger: &Path, code: &str, looks_bad: bool) {
    let before = std::fs::read(ledger).unwrap();
    let ended = sandbox.expect(3, &["up", "-d", "--port", "0", "-o", "json"]);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    assert!(error["fix"].as_str().is_some_and(|fix| !fix.is_empty()));
    assert!(std::fs::read(ledger).unwrap() == before, "the data was touched");
    sandbox.assert_nothing_runs();
    sandbox.expect(4, &["status"]);
    assert_eq!(sandbox.run(&["doctor"]).code, Some(if looks_bad { 3 } else { 0 }));
}

#[test]
fn a_file_that_is_no_ledger_is_refused() {
    let (sandbox, ledger) = with_ledger();
    std::fs::write(&ledger, "this is not a ledger, whatever its name says".repeat(100)).unwrap();
    refused(&sandbox, &ledger, "state-damaged", true);
}

#[test]
fn a_ledger_with_damaged_pages_is_refused() {
    let (sandbox, ledger) = with_ledger();
    let mut bytes = std::fs::read(&ledger).unwrap();
    bytes[100..4096].fill(0xa5);
    std::fs::write(&ledger, bytes).unwrap();
    refused(&sandbox, &ledger, "state-damaged", false);
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let (sandbox, ledger) = with_ledger();
    let mut bytes = std::fs::read(&ledger).unwrap();
    // PRAGMA user_version: big endian at offset 60 of the header.
    bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
    std::fs::write(&ledger, bytes).unwrap();
    refused(&sandbox, &ledger, "state-newer", true);
}

#[test]
fn a_read_only_ledger_is_refused() {
    let (sandbox, ledger) = with_ledger();
    // Root may write anything: as somebody else, then, who owns all of it but may not write the ledger.
    const NOBODY: u32 = 65534;
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        for path in walk(sandbox.path()) {
            std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
        }
    }
    let mut permissions = std::fs::metadata(&ledger).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&ledger, permissions).unwrap();
    let program = sandbox.path().join("cardctl");
    std::fs::copy(env!("CARGO_BIN_EXE_cardctl"), &program).unwrap();
    let mut command = sandbox.program(program.to_str().unwrap(), &["up", "-d", "--port", "0", "-o", "json"]);
    if is_root {
        command.uid(NOBODY);
    }
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(ended.json()["error"]["code"], "state-read-only", "{}", ended.stdout);
}

#[test]
fn a_ledger_that_another_process_has_is_left_to_it() {
    let (sandbox, ledger) = with_ledger();
    let lock = std::fs::File::options().write(true).open(ledger.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    refused(&sandbox, &ledger, "state-in-use", false);
    lock.unlock().unwrap();
    sandbox.up();
}

#[test]
fn a_full_disk_is_an_error_of_the_start_and_not_its_death() {
    let (sandbox, ledger) = with_ledger();
    let before = std::fs::read(&ledger).unwrap();
    let script = "ulimit -f 1; exec $CARDCTL up -d --port 0 -o json";
    let ended = Ended::of(sandbox.program("bash", &["-c", script]).output().unwrap());
    assert_eq!(ended.code, Some(3), "{} {}", ended.stdout, ended.stderr);
    assert!(std::fs::read(&ledger).unwrap() == before, "the data was touched");
    sandbox.assert_nothing_runs();
    sandbox.up();
}

#[test]
fn a_state_directory_that_can_not_be_made_is_named() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("state"), "a file").unwrap();
    insta::assert_snapshot!(sandbox.transcript(&["up", "-d", "--port", "0"]));
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
