//! One client must not starve the others: streams, the backlog, connections and memory, with the real program.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::place::{OPERATOR, Place};
use crate::running::{PATIENCE, Running, eventually};

async fn start(place: &Place, settings: &[(&str, &str)]) -> Running {
    let mut command = place.command(&["--workers", "0", "--announce"]);
    command.envs(settings.iter().copied());
    Running::start(command).await
}

/// Access tokens of so many users.
async fn users(server: &Running, count: usize) -> Vec<String> {
    let body = json!({"run": "sharing", "from": 0, "count": count});
    let (_, made) = server.post("/api/v1/synthetic-users", OPERATOR, &body).await;
    made["users"].as_array().unwrap().iter().map(|user| user["access_token"].as_str().unwrap().to_owned()).collect()
}

/// A stream that was opened, or the code with which it was not.
async fn stream(server: &Running, token: &str) -> Result<reqwest::Response, String> {
    let response = server.request(Method::GET, "/api/v1/events").bearer_auth(token).send().await.unwrap();
    if response.status() == 200 {
        return Ok(response);
    }
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    Err(response.json::<Value>().await.unwrap()["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn twenty_streams_of_one_user_block_neither_another_nor_the_operator() {
    let place = Place::new();
    let server = start(&place, &[("CARDCTL_SERVER_MAX_STREAMS", "20")]).await;
    let users = users(&server, 2).await;
    let (mut open, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        match stream(&server, &users[0]).await {
            Ok(one) => open.push(one),
            Err(code) => refused.push(code),
        }
    }
    assert!((5..=10).contains(&open.len()), "{}", open.len());
    assert!(refused.iter().all(|code| code == "user-share-used"), "{refused:?}");
    let (_, task) = server.post("/api/v1/tasks", &users[0], &json!({"kind": "add", "payload": {"x": 1, "y": 2}})).await;
    let wait = format!("/api/v1/tasks/{}?wait=1s", task["id"].as_str().unwrap());
    let response = server.request(Method::GET, &wait).bearer_auth(&users[0]).send().await.unwrap();
    assert_eq!(response.status(), 503, "a long-poll takes from the same share");

    let another = stream(&server, &users[1]).await;
    assert!(another.is_ok(), "{another:?}");
    // As many as it gets, so that nothing is left but what is kept for the operator.
    while let Ok(one) = stream(&server, &users[1]).await {
        open.push(one);
    }
    let all = json!({"filter": {}, "dry_run": true});
    assert_eq!(server.post("/api/v1/dead-letters/retry", OPERATOR, &all).await.0, 200);
    assert_eq!(server.get("/api/v1/dead-letters/groups").await.0, 200);
    assert!(stream(&server, OPERATOR).await.is_ok());
    drop(open);
    eventually("its streams are closed and it has room again", async || stream(&server, &users[0]).await.is_ok()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_hundred_tasks_of_one_user_do_not_fill_a_small_backlog() {
    let place = Place::new();
    let server = start(&place, &[("CARDCTL_SERVER_BACKLOG_LIMIT", "100")]).await;
    let users = users(&server, 2).await;
    let task = json!({"kind": "add", "payload": {"x": 1, "y": 2}});
    let (mut accepted, mut refused) = (0, Vec::new());
    for _ in 0..100 {
        match server.post("/api/v1/tasks", &users[0], &task).await {
            (202, _) => accepted += 1,
            (status, problem) => refused.push((status, problem["code"].as_str().unwrap().to_owned())),
        }
    }
    assert!((30..=60).contains(&accepted), "{accepted}");
    assert!(refused.iter().all(|(status, code)| (*status, code.as_str()) == (503, "user-share-used")), "{refused:?}");
    assert_eq!(server.post("/api/v1/tasks", &users[1], &task).await.0, 202);
    assert_eq!(server.post("/api/v1/replacements", &users[1], &json!({"reason": "lost"})).await.0, 202);
    assert_eq!(server.post("/api/v1/tasks", OPERATOR, &task).await.0, 202);
    server.stop().await;
}

/// A connection on which something was asked and answered, or nothing if there is nothing to ask.
async fn connection(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed it for others meanwhile.
    let _ = stream.write_all(bytes).await;
    stream
}

async fn answered(address: SocketAddr) -> TcpStream {
    let mut stream = connection(address, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut begin = [0; 15];
    timeout(PATIENCE, stream.read_exact(&mut begin)).await.expect("an answer").unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
    stream
}

/// Whether the other end has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match timeout(Duration::from_millis(1), stream.read(&mut rest)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
    }
}

#[tokio::test]
async fn connections_at_rest_make_way_the_oldest_first_and_probes_are_always_answered() {
    let place = Place::new();
    let server = start(&place, &[("CARDCTL_SERVER_MAX_CONNECTIONS", "64")]).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(answered(server.said.address).await);
    }
    // Neither does who never says anything keep others out.
    for _ in 0..200 {
        idle.push(connection(server.said.address, b"").await);
    }
    for path in ["/health", "/ready", "/metrics", "/scaling", "/api/v1/stats"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    eventually("the oldest are closed", async || is_closed(&mut idle[0]).await).await;
    let newest = idle.last_mut().unwrap();
    assert!(!is_closed(newest).await, "the newest is not");
    // What is at work is never closed for others.
    let mut at_work = connection(
        server.said.address,
        format!("GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\n\r\n").as_bytes(),
    )
    .await;
    let mut begin = [0; 15];
    timeout(PATIENCE, at_work.read_exact(&mut begin)).await.expect("an answer").unwrap();
    for _ in 0..200 {
        idle.push(answered(server.said.address).await);
    }
    assert!(!is_closed(&mut at_work).await);
    server.stop().await;
}

#[tokio::test]
async fn few_open_files_are_enough_for_probes() {
    let place = Place::new();
    let mut command =
        place.program("sh", &["-c", "ulimit -n 160; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_card-server")]);
    command
        .args(["--workers", "0", "--announce"])
        .env("CARDCTL_SIGNING_KEY", "k".repeat(40))
        .env("CARDCTL_OPERATOR_TOKEN", OPERATOR)
        .env("CARDCTL_SERVER_PORT", "0");
    let server = Running::start(command).await;
    assert!(server.log().contains("allow fewer streams and requests"), "{}", server.log());
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(connection(server.said.address, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await);
    }
    for path in ["/health", "/ready", "/api/v1/stats"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    assert!(!server.log().contains("connections can't be accepted"), "{}", server.log());
    server.stop().await;
}

/// The memory that a process takes, and has taken at most, in KiB.
fn memory(server: &Running, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

const CONNECTIONS: usize = 3000;

#[tokio::test]
async fn unfinished_requests_hold_no_more_than_they_may_together() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(8192).min(hard), hard).unwrap();
    }
    let place = Place::new();
    let limit = 16 * 1024 * 1024;
    let settings = [
        ("CARDCTL_SERVER_READ_TIMEOUT", "60s"),
        ("CARDCTL_SERVER_DRAIN_TIMEOUT", "100ms"),
        ("CARDCTL_SERVER_UNFINISHED_LIMIT", "16777216"),
    ];
    let headers = |bytes: usize| format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(bytes));
    let body = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\n\
         content-length: 65536\r\n\r\n{}",
        " ".repeat(60_000)
    );
    for (what, bytes) in
        [("60 kB of headers", headers(60_000)), ("16 kB of headers", headers(16_000)), ("60 kB of a body", body)]
    {
        let server = start(&place, &settings).await;
        let before = memory(&server, "VmRSS");
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(connection(server.said.address, bytes.as_bytes()).await);
        }
        // Everything has been read by the time that this is answered, or refused.
        assert_eq!(server.get("/health").await.0, 200);
        let more = memory(&server, "VmHWM").saturating_sub(before);
        // What may be held, the buffers that it passes through, and what a connection takes without saying anything.
        let bound = (2 * limit / 1024 + CONNECTIONS * 12) as u64;
        assert!(more < bound, "{what} on {CONNECTIONS} connections: {more} KiB, {bound} at most");
        server.stop().await;
    }
}
