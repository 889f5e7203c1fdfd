//! The clock of one process is minutes off.

use std::path::PathBuf;
use std::time::Duration;

use crate::part::Part;
use crate::platform::Platform;

const CALL: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_clock_is_7_minutes_fast_does_no_harm() {
    worker_off_by("+420s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_clock_is_7_minutes_slow_does_no_harm() {
    worker_off_by("-420s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_clock_is_7_minutes_fast_does_no_harm() {
    server_off_by("+420s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_clock_is_7_minutes_slow_does_no_harm() {
    server_off_by("-420s").await;
}

async fn worker_off_by(offset: &str) {
    let platform = Platform::start(CALL).await;
    let off = platform.worker_with("worker-1", &clock(offset)).await;
    is_noticed(&off);
    run(platform, [off]).await;
}

/// Two servers, so that what one of them signed is read by the other.
async fn server_off_by(offset: &str) {
    let platform = Platform::start(CALL).await;
    let off = platform.server_with("server-1", &clock(offset)).await;
    is_noticed(&off);
    run(platform, [off]).await;
}

/// With a fault on top, so that the sweep and the leases have work to do under that clock.
async fn run(platform: Platform, off: [Part; 1]) {
    let mut parts = vec![platform.server("server-2").await, platform.worker("worker-2").await];
    let load = platform.load(300, 75);
    for flush in 1..=2 {
        platform.until_accepted(flush * 80).await;
        platform.redis.flush_all();
    }
    parts.extend(off);
    platform.prove(300, load.ends().await, parts).await;
}

fn is_noticed(part: &Part) {
    assert!(part.log().contains("clock differs from the ledger's"), "{}", part.log());
}

/// What makes a process read another time. The monotonic clock goes on as it is.
fn clock(offset: &str) -> [(&'static str, String); 3] {
    let library = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let library: Option<PathBuf> =
        library.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file());
    let library = library.expect("libfaketime is installed; on Debian: apt-get install faketime, or run ./test");
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", offset.to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}
