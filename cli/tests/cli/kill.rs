//! `kill -9` at random points of a run: what was accepted survives, once.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use card_client::{Accept, Caller, Client, Order, Token};
use card_core::ids::{RunId, TaskId};
use card_kinds::add::{Add, Addition};
use card_kinds::replacement::{CardReplacement, Reason, Replacement};
use cardctl::instance::{Paths, Process, Record, detached};
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Ended, Sandbox, eventually, free_port};

const ROUNDS: usize = 20;
const SENDERS: usize = 8;
const USERS: u64 = 4000;

/// Sends until it is stopped; what was answered with 202 goes into the list, which knows nothing of the ledger.
async fn send(
    client: Client,
    run: RunId,
    users: Vec<Token>,
    accepted: Arc<Mutex<Vec<TaskId>>>,
    stop: CancellationToken,
) {
    let mut users = users.into_iter();
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        // Each user asks once: a second request could be refused because an unanswered first one was accepted.
        let user = if number % 2 == 0 { users.next() } else { None };
        let (order, caller) = match &user {
            Some(token) => (Order::of::<CardReplacement>(&Replacement { reason: Reason::Lost }), Caller::User(token)),
            None => (Order::of::<Addition>(&Add { x: number, y: 1 }), Caller::Operator),
        };
        match client.accept(&order, Accept { caller, key: None, run: Some(&run) }).await {
            Ok(task) => accepted.lock().unwrap().push(task.id),
            // It is down: the next round brings it up.
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

fn up(sandbox: &Sandbox, port: &str) {
    sandbox.expect(0, &["up", "-d", "--port", port]);
}

/// Kills an `up` half-way, and what it may have started.
fn killed_while_starting(sandbox: &Sandbox, port: &str, after: Duration) {
    let mut command = sandbox.command(&["up", "-d", "--port", port]);
    let mut up = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    up.kill().unwrap();
    up.wait().unwrap();
    for process in sandbox.processes().into_iter().filter_map(Process::of) {
        process.signal(Signal::SIGKILL).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_or_doubled_by_kills_at_random_points() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let sandbox = Sandbox::new();
    let port = free_port();
    let text = port.to_string();
    up(&sandbox, &text);
    let run = RunId::new();
    let client = sandbox.client();
    let mut users = Vec::new();
    for from in (0..USERS).step_by(500) {
        users.extend(client.synthetic_users(&run, from, 500).await.unwrap().into_iter().map(|user| user.access_token));
    }
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let stop = CancellationToken::new();
    let share = users.len() / SENDERS;
    let senders: Vec<_> = users
        .chunks(share)
        .map(|users| {
            tokio::spawn(send(client.clone(), run.clone(), users.to_vec(), Arc::clone(&accepted), stop.clone()))
        })
        .collect();
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..120))).await;
        sandbox.record().process.signal(Signal::SIGKILL).unwrap();
        if round % 4 == 3 {
            killed_while_starting(&sandbox, &text, Duration::from_millis(random.random_range(0..80)));
        }
        up(&sandbox, &text);
    }
    stop.cancel();
    for sender in senders {
        sender.await.unwrap();
    }
    sandbox.expect(0, &["status", "--wait", "--for", "idle", "--timeout", "60s"]);
    let accepted: HashSet<_> = accepted.lock().unwrap().drain(..).collect();
    assert!(accepted.len() > ROUNDS * 10, "seed {seed}: only {} were accepted", accepted.len());
    audit(&sandbox.client(), &run, &accepted, seed).await;
    sandbox.expect(0, &["down"]);
    sandbox.assert_nothing_runs();
    assert!(Record::load(&sandbox.paths()).is_none());
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
}

/// Every accepted id is final exactly once with exactly one effect; what was not answered is at most that.
pub(crate) async fn audit(client: &Client, run: &RunId, accepted: &HashSet<TaskId>, seed: u64) {
    let mut found = HashMap::new();
    let mut cursor = None;
    loop {
        let page = client.effects(run, cursor.as_deref()).await.unwrap();
        for item in page.items {
            assert!(item.status.is_final(), "seed {seed}: {item:?} is stuck");
            assert_eq!((item.effects, item.finals), (1, 1), "seed {seed}: {item:?}");
            assert!(found.insert(item.task, item.status).is_none(), "seed {seed}: {} is given twice", item.task);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let lost: Vec<_> = accepted.iter().filter(|id| !found.contains_key(id)).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
}

#[test]
fn a_killed_platform_starts_again_with_the_same_secrets() {
    let sandbox = Sandbox::new();
    let first = sandbox.up();
    let token = std::fs::read(Paths::operator_token(&first.data_dir)).unwrap();
    first.process.signal(Signal::SIGKILL).unwrap();
    eventually("killed", || !first.process.is_alive());
    let second = sandbox.up();
    assert_ne!(first.process, second.process);
    assert_eq!(std::fs::read(Paths::operator_token(&second.data_dir)).unwrap(), token);
}

#[test]
fn a_background_process_that_dies_while_it_starts_is_reported_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let background = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(detached::MARK.as_bytes())
    };
    // The process may be ready before it is found: then the next attempt gets its chance.
    for _ in 0..50 {
        let mut command = sandbox.command(&["up", "-d", "--port", "0", "-o", "json"]);
        let up = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut found = None;
        eventually("it starts", || {
            found = sandbox.processes().into_iter().find(background).and_then(Process::of);
            found.is_some()
        });
        found.unwrap().signal(Signal::SIGKILL).unwrap();
        let ended = Ended::of(up.wait_with_output().unwrap());
        if ended.code == Some(3) {
            let error = &ended.json()["error"];
            assert_eq!(error["code"], "start", "{error}");
            sandbox.assert_nothing_runs();
            sandbox.up();
            return;
        }
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    panic!("it was always faster");
}
