//! A disk that fills while the platform runs: accepts are refused, nothing that was accepted is lost, and it goes on
//! when there is room.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use card_client::{Accept, Caller, Client, ClientError, Order};
use card_core::ids::RunId;
use card_core::problem::Code;
use card_kinds::add::{Add, Addition};

use crate::kill::audit;
use crate::sandbox::{Sandbox, eventually};

async fn accept(client: &Client, run: &RunId) -> Result<card_core::ids::TaskId, ClientError> {
    let order = Order::of::<Addition>(&Add { x: 20, y: 22 });
    let accept = Accept { caller: Caller::Operator, key: None, run: Some(run) };
    client.accept(&order, accept).await.map(|task| task.id)
}

/// Fills the disk by `fill`, makes room by `free`.
async fn survives(sandbox: &Sandbox, fill: impl Fn(), free: impl Fn()) {
    let client = sandbox.client();
    let run = RunId::new();
    let mut accepted = HashSet::new();
    for _ in 0..20 {
        accepted.insert(accept(&client, &run).await.unwrap());
    }
    fill();
    let mut refusal = None;
    for _ in 0..5_000 {
        match accept(&client, &run).await {
            Ok(id) => {
                accepted.insert(id);
            }
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    let refusal = refusal.expect("a full disk refuses in the end");
    assert_eq!(refusal.code(), Some(Code::DiskFull), "{refusal}");
    assert!(refusal.retry_after().is_some(), "a 503 says when to try again");
    // What only reads goes on.
    sandbox.expect(0, &["tasks", "list", "--run", run.as_str(), "-o", "json"]);
    free();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        match accept(&client, &run).await {
            Ok(id) => {
                accepted.insert(id);
                break;
            }
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "still refused: {error}"),
        }
    }
    sandbox.expect(0, &["status", "--wait", "--for", "idle", "--timeout", "60s"]);
    audit(&client, &run, &accepted, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_grow_refuse_accepts_until_they_may() {
    let sandbox = Sandbox::new();
    let pid = sandbox.up().process.pid.to_string();
    // A limit on the size of files fails writes of a live process without asking for root.
    let limit = |bytes: &str| {
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status().unwrap();
        assert!(status.success());
    };
    survives(&sandbox, || limit("16384"), || limit("unlimited")).await;
    sandbox.expect(0, &["down"]);
}

/// A file system of its own, unmounted at the end.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// None where mounting is not allowed.
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        status.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: the platform may still have files open should the test have failed.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_accepts_until_there_is_room() {
    let sandbox = Sandbox::new();
    let state = sandbox.path().join("state");
    // Only root may mount; elsewhere the test above has to do.
    let Some(_disk) = SmallDisk::mount(&state, "48m") else { return };
    sandbox.up();
    let filler = state.join("filler");
    let fill = || {
        let (mut zeros, mut file) = (std::io::repeat(0), std::fs::File::create(&filler).unwrap());
        let full = std::io::copy(&mut zeros, &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    };
    survives(&sandbox, fill, || std::fs::remove_file(&filler).unwrap()).await;
    let readiness = sandbox.run(&["status", "-o", "json"]).json();
    assert_eq!(readiness["up"], true);
    sandbox.expect(0, &["down"]);
    eventually("nothing holds the disk", || sandbox.processes().is_empty());
}

#[test]
fn a_disk_that_is_nearly_full_is_said_at_once() {
    let sandbox = Sandbox::new();
    let state = sandbox.path().join("state");
    let Some(_disk) = SmallDisk::mount(&state, "20m") else { return };
    let up = sandbox.up();
    let filler = state.join("filler");
    let fill = |bytes: u64| std::fs::File::create(&filler).unwrap().write_all(&vec![1; bytes as usize]).unwrap();
    fill(15 << 20);
    // One that runs, and one that is to be started: neither waits until its time is up, and the code is not that of it.
    for _ in 0..2 {
        let ended = sandbox.expect(3, &["up", "-d", "--port", "0", "--wait-timeout", "10m"]);
        assert!(ended.stderr.contains("error[state-disk-full]"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("the disk is full: ") && ended.stderr.contains("fix: free space"),
            "{}",
            ended.stderr
        );
        sandbox.expect(0, &["down"]);
    }
    assert!(!up.process.is_alive());
    std::fs::remove_file(&filler).unwrap();
    sandbox.up();
    sandbox.expect(0, &["down"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_refuses_is_waited_for_once_and_said() {
    let sandbox = Sandbox::new();
    let pid = sandbox.up().process.pid.to_string();
    let limit = |bytes: &str| {
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status().unwrap();
        assert!(status.success());
    };
    limit("4096");
    // Forty, two at a time, each for 3 s, would be a minute.
    let mut command = sandbox.command(&["submit", "-c", "40", "--concurrency", "2", "--timeout", "60s"]);
    let ended = crate::sandbox::Ended::of(command.output().unwrap());
    let once = sandbox.run(&["submit", "-c", "1", "-o", "json"]);
    limit("unlimited");
    assert_eq!(once.json()["error"]["code"], "disk-full", "{}", once.stderr);
    assert_eq!(once.json()["error"]["fix"], "free space on the disk that holds the ledger");
    assert!(ended.stderr.contains("not accepted yet, retrying for up to 3s: "), "{}", ended.stderr);
    // With 124 the time would have been up before all were tried.
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("error[disk-full]"), "{}", ended.stderr);
    sandbox.expect(0, &["down"]);
}

#[test]
fn a_load_test_that_can_not_account_for_more_sends_no_more() {
    let sandbox = Sandbox::new();
    let out = sandbox.path().join("out");
    let Some(_disk) = SmallDisk::mount(&out, "128k") else { return };
    sandbox.up();
    let out = out.to_str().unwrap();
    let ended =
        sandbox.expect(3, &["loadtest", "run", "-u", "20", "-d", "60s", "--ramp", "0s", "--out", out, "-o", "json"]);
    let error = ended.json()["error"].clone();
    assert_eq!(error["code"], "ledger", "{error}");
    assert!(error["message"].as_str().unwrap().contains("No space left"), "{error}");
    // What it has made is still there, and it says how to remove it.
    assert!(ended.stderr.contains("cardctl users clean --run run_"), "{}", ended.stderr);
}
