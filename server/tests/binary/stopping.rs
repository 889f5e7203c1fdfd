use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::place::{OPERATOR, Place};
use crate::running::{PATIENCE, Running, eventually};

const BODY: &str = r#"{"kind":"add","payload":{"x":1,"y":2}}"#;

/// A request that is in flight: its head has arrived, its body has not.
async fn half_a_request(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.said.address).await.unwrap();
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut continues = [0; 25];
    stream.read_exact(&mut continues).await.unwrap();
    assert!(continues.starts_with(b"HTTP/1.1 100 Continue"));
    stream
}

#[tokio::test]
async fn a_signal_finishes_what_is_in_flight_and_lets_nobody_in() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let mut server = place.start(&[]).await;
        let mut half = half_a_request(&server).await;
        server.signal(signal);
        let address = server.said.address;
        eventually("nobody new is let in", async || TcpStream::connect(address).await.is_err()).await;
        half.write_all(BODY.as_bytes()).await.unwrap();
        let mut answer = String::new();
        half.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202 "), "{signal}: {answer}");
        assert_eq!(server.ended().await, Some(0), "{}", server.log());
        assert!(server.log().contains(r#""message":"stopped","drained":true"#), "{}", server.log());
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let mut command = place.command(&["--announce"]);
    command.env("CARDCTL_SERVER_DRAIN_TIMEOUT", "1h").env("CARDCTL_SERVER_READ_TIMEOUT", "1h");
    let mut server = Running::start(command).await;
    let _half = half_a_request(&server).await;
    server.signal(Signal::SIGTERM);
    server.logs("stopping").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().await, Some(143));
}

#[tokio::test]
async fn a_tied_server_drains_when_its_stdin_ends() {
    let place = Place::new();
    let (mut server, stdin) = Running::tied(place.command(&["--tied", "--announce"])).await;
    let mut half = half_a_request(&server).await;
    drop(stdin);
    server.logs("stopping").await;
    // Who lets go of stdin may send SIGTERM as well: that is one request, not two.
    server.signal(Signal::SIGTERM);
    half.write_all(BODY.as_bytes()).await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
}

#[tokio::test]
async fn a_signal_while_the_ledger_does_not_answer_ends_it() {
    let place = Place::new();
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let database = format!("postgres://card@{}/card", silent.local_addr().unwrap());
    let mut command = place.command(&[]);
    command.env("CARDCTL_DATABASE", database).env("CARDCTL_REDIS", "redis://127.0.0.1:1");
    let mut server = command.stderr(Stdio::null()).spawn().unwrap();
    let asked = timeout(PATIENCE, silent.accept()).await.expect("it asks the ledger").unwrap();
    kill(Pid::from_raw(i32::try_from(server.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    let ended = timeout(PATIENCE, server.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0));
    drop(asked);
}

#[tokio::test]
async fn a_server_that_is_not_tied_does_not_mind_its_stdin() {
    let place = Place::new();
    // Its stdin is /dev/null, which ends at once.
    let server = place.start(&[]).await;
    assert_eq!(server.get("/ready").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_killed_parent_leaves_no_process_and_no_port() {
    let place = Place::new();
    // The shell holds the other end of each child's stdin, and is given no chance to say anything.
    let script = "\
        mkfifo one two; \
        \"$PROGRAM\" --tied --announce <one & \
        \"$PROGRAM\" issuer --address 127.0.0.1:0 --tied --announce <two >issuer.json & \
        exec 3>one 4>two; wait";
    let mut shell = place.program("sh", &["-c", script]);
    shell
        .env("PROGRAM", env!("CARGO_BIN_EXE_card-server"))
        .env("CARDCTL_SIGNING_KEY", "k".repeat(64))
        .env("CARDCTL_OPERATOR_TOKEN", OPERATOR)
        .env("CARDCTL_SERVER_PORT", "0");
    let mut parent = Running::start(shell).await;
    let mut issuer = String::new();
    eventually("the issuer is ready", async || {
        issuer = std::fs::read_to_string(place.path().join("issuer.json")).unwrap_or_default();
        issuer.ends_with('\n')
    })
    .await;
    let issuer: card_core::process::Announcement = serde_json::from_str(&issuer).unwrap();
    let server = parent.said.clone();
    assert_ne!(parent.child.id(), Some(server.pid));
    parent.child.start_kill().unwrap();
    assert_eq!(parent.ended().await, None, "killed");
    for child in [server, issuer] {
        eventually("the child is gone", async || is_gone(child.pid)).await;
        assert!(TcpStream::connect(child.address).await.is_err(), "its port is free");
    }
}

/// Gone, or dead and not yet collected by whoever inherited it.
fn is_gone(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}
