//! Faults that are put in on purpose while a load test runs: each must be seen, and end with its own exit code.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cardctl::instance::Process;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::Value;

use crate::sandbox::{Sandbox, eventually, free_port};

/// A load test that runs beside the test: its lines of progress on stderr, its result on stdout.
struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let all = [&["loadtest", "run", "--ramp", "0s", "--progress", "plain", "-o", "json"], arguments].concat();
        Self::spawn(sandbox.command(&all))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// Waits until it says that it does this now.
    fn reaches(&mut self, doing: &str) {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "it ended before {doing}: {said}");
            if line.split_whitespace().any(|word| word == doing) {
                return;
            }
            said.push_str(&line);
        }
    }

    fn signal(&self, signal: Signal) {
        Process::of(self.child.id()).unwrap().signal(signal).unwrap();
    }

    /// Its exit code and its result.
    fn ends(mut self) -> (i32, Value) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{rest}"));
        (output.status.code().unwrap(), document)
    }
}

/// The ledger, opened behind the platform's back.
fn ledger(sandbox: &Sandbox) -> Connection {
    let ledger = Connection::open(sandbox.record().data_dir.join("ledger.db")).unwrap();
    ledger.busy_timeout(Duration::from_secs(10)).unwrap();
    ledger
}

/// The row of a task of a run that has its card.
fn done(ledger: &Connection, run: &str) -> i64 {
    let query = "SELECT seq FROM tasks WHERE run = ?1 AND status = 4 LIMIT 1";
    ledger.query_row(query, [run], |row| row.get(0)).unwrap()
}

/// The only run of whose tasks the ledger has any.
fn run_of(ledger: &Connection) -> String {
    let query = "SELECT run FROM tasks WHERE run IS NOT NULL AND status = 4 ORDER BY seq DESC LIMIT 1";
    let mut run = None;
    eventually("a task of the run has ended", || {
        run = ledger.query_row(query, [], |row| row.get::<_, String>(0)).ok();
        run.is_some()
    });
    run.unwrap()
}

fn correctness(document: &Value, what: &str) -> u64 {
    document["correctness"][what].as_u64().unwrap()
}

#[test]
fn an_accepted_task_whose_row_is_deleted_is_lost() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut load = Running::start(&sandbox, &["-u", "5", "-d", "3s", "--settle", "100ms", "--out", "out"]);
    load.reaches("steady");
    let ledger = ledger(&sandbox);
    let task = done(&ledger, &run_of(&ledger));
    let deleted = ledger.execute("DELETE FROM tasks WHERE seq = ?1", [task]).unwrap();
    assert_eq!(deleted, 1);
    let (code, document) = load.ends();
    assert_eq!((code, correctness(&document, "lost")), (9, 1), "{}", document["correctness"]);
    assert_eq!((&document["verdict"], &document["exit"]), (&"fail".into(), &9.into()));
    assert_eq!(document["correctness"]["findings"][0]["verdict"], "lost");
    // The evidence is kept: reports that name it, and the tasks.
    let html = std::fs::read_to_string(sandbox.work().join("out/report.html")).unwrap();
    assert!(html.contains(document["correctness"]["findings"][0]["task"].as_str().unwrap()));
    let junit = std::fs::read_to_string(sandbox.work().join("out/junit.xml")).unwrap();
    assert!(junit.contains("<failure"), "{junit}");
    let run = document["run"].as_str().unwrap();
    let kept: i64 = ledger.query_row("SELECT count(*) FROM tasks WHERE run = ?1", [run], |row| row.get(0)).unwrap();
    assert_eq!(kept.unsigned_abs(), correctness(&document, "accepted") - 1);
}

#[test]
fn an_effect_that_is_applied_twice_is_a_duplicate() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut load = Running::start(&sandbox, &["-u", "5", "-d", "3s", "--settle", "100ms"]);
    load.reaches("steady");
    let ledger = ledger(&sandbox);
    let task = done(&ledger, &run_of(&ledger));
    // The ledger refuses a second effect of a task, so the rule has to go first.
    let unruly = "BEGIN IMMEDIATE;
        CREATE TABLE unruly (task INTEGER NOT NULL, id BLOB NOT NULL, kind INTEGER NOT NULL, owner BLOB, slot TEXT,
            data TEXT NOT NULL, active INTEGER NOT NULL, at INTEGER NOT NULL, replaces BLOB, seq INTEGER NOT NULL) STRICT;
        INSERT INTO unruly SELECT task, id, kind, owner, slot, data, active, at, replaces, seq FROM effects;
        DROP TABLE effects;
        ALTER TABLE unruly RENAME TO effects;
        CREATE INDEX effects_task ON effects (task);
        CREATE UNIQUE INDEX effects_active ON effects (kind, coalesce(owner, x''), slot)
            WHERE active = 1 AND slot IS NOT NULL;
        COMMIT;";
    ledger.execute_batch(unruly).unwrap();
    let again = "INSERT INTO effects SELECT task, randomblob(16), kind, owner, slot, data, 0, at, replaces, seq
        FROM effects WHERE task = ?1";
    assert_eq!(ledger.execute(again, [task]).unwrap(), 1);
    let (code, document) = load.ends();
    assert_eq!((code, correctness(&document, "duplicate")), (9, 1), "{}", document["correctness"]);
    let detail = document["correctness"]["findings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("2 effects"), "{detail}");
}

#[test]
fn a_duplicate_that_comes_after_the_drain_is_caught_while_it_settles() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut load = Running::start(&sandbox, &["-u", "2", "-d", "1s", "--settle", "3s"]);
    load.reaches("settle");
    let ledger = ledger(&sandbox);
    let task = done(&ledger, &run_of(&ledger));
    let again =
        "INSERT INTO events SELECT (SELECT max(seq) FROM events) + 1000, task, run, status, attempts, at, started_at,
        result, error_code, error_message FROM events WHERE task = ?1 AND status = 4";
    assert_eq!(ledger.execute(again, [task]).unwrap(), 1);
    let (code, document) = load.ends();
    assert_eq!((code, correctness(&document, "duplicate")), (9, 1), "{}", document["correctness"]);
}

#[test]
fn a_task_that_never_ends_is_stuck() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut load = Running::start(&sandbox, &["-u", "3", "-d", "2s", "--drain", "1s", "--settle", "0s"]);
    load.reaches("steady");
    sandbox.expect(0, &["queue", "pause"]);
    let (code, document) = load.ends();
    // Each of the three users waits for one.
    assert_eq!((code, correctness(&document, "stuck")), (9, 3), "{}", document["correctness"]);
    sandbox.expect(0, &["queue", "resume"]);
}

#[test]
fn an_observer_that_can_not_look_is_neither_green_nor_a_loss() {
    let sandbox = Sandbox::new();
    let server = sandbox.up();
    let mut load = Running::start(&sandbox, &["-u", "3", "-d", "1s", "--settle", "2s", "--slo", "none"]);
    load.reaches("settle");
    server.process.signal(Signal::SIGKILL).unwrap();
    let (code, document) = load.ends();
    let accepted = correctness(&document, "accepted");
    assert!(accepted > 0);
    assert_eq!((code, correctness(&document, "unverified")), (11, accepted), "{}", document["correctness"]);
    assert_eq!((correctness(&document, "lost"), &document["verdict"]), (0, &"inconclusive".into()));
}

#[test]
fn a_load_that_never_came_about_proves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.up();
    // One user who rests an hour before it asks.
    let load = Running::start(&sandbox, &["-u", "1", "-d", "1s", "--think", "1h", "--settle", "0s"]);
    let (code, document) = load.ends();
    assert_eq!((code, correctness(&document, "accepted")), (11, 0));
    assert!(
        document["slo"].as_array().unwrap().iter().all(|slo| slo["verdict"] == "inconclusive"),
        "{}",
        document["slo"]
    );
}

#[test]
fn too_few_samples_judge_nothing() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let few = ["-u", "2", "-d", "1s", "--settle", "0s", "--min-samples", "1000000"];
    let (code, document) = Running::start(&sandbox, &[&few[..], &["--slo", "e2e.p95<10m"]].concat()).ends();
    assert_eq!((code, &document["correctness"]["verdict"]), (11, &"pass".into()));
}

#[test]
fn a_generator_that_stands_still_says_so() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut load = Running::start(&sandbox, &["--rate", "50/s", "-d", "4s", "--settle", "0s"]);
    load.reaches("steady");
    load.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(1500));
    load.signal(Signal::SIGCONT);
    let (code, document) = load.ends();
    assert_eq!((code, &document["correctness"]["verdict"]), (11, &"pass".into()), "{}", document["validity"]);
    let validity = &document["validity"];
    assert_eq!(validity["verdict"], "inconclusive");
    assert!(validity["late_starts"].as_f64().unwrap() > 0.2, "{validity}");
    // What it made late counts from when it should have been: nobody is let off.
    let intended = document["accept_intended_ms"]["p90"].as_f64().unwrap();
    assert!(intended > 500.0, "{}", document["accept_intended_ms"]);
}

#[test]
fn a_rate_that_can_not_be_had_is_inconclusive() {
    let sandbox = Sandbox::new();
    sandbox.up();
    // More than two cores can start, let alone answer.
    let load = Running::start(
        &sandbox,
        &["--rate", "100000/s", "-d", "1s", "--settle", "0s", "--journey", "add", "--slo", "none"],
    );
    let (code, document) = load.ends();
    assert_eq!((code, &document["validity"]["verdict"]), (11, &"inconclusive".into()), "{}", document["validity"]);
    assert!(document["validity"]["offered_ratio"].as_f64().unwrap() < 0.99);
    assert_eq!(document["correctness"]["lost"], 0);
}

#[test]
fn a_promise_that_is_not_kept_is_exit_7() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let load = Running::start(&sandbox, &["-u", "3", "-d", "1s", "--settle", "0s", "--slo", "accept.p95<1us"]);
    let (code, document) = load.ends();
    assert_eq!((code, &document["verdict"]), (7, &"fail".into()));
    let missed = document["slo"].as_array().unwrap().iter().find(|slo| slo["expr"] == "accept.p95<1us").unwrap();
    assert_eq!(missed["verdict"], "fail");
}

#[test]
fn a_platform_that_became_slower_is_a_regression() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.work().join("cardctl.toml"), "[issuer]\nlatency-p50 = '2ms'\nlatency-p99 = '4ms'\n")
        .unwrap();
    sandbox.up();
    let load = ["-u", "2", "-d", "2s", "--think", "10ms", "--settle", "0s"];
    let (code, _) = Running::start(&sandbox, &[&load[..], &["--out", "before"]].concat()).ends();
    assert_eq!(code, 0);
    sandbox.expect(0, &["down"]);
    std::fs::write(sandbox.work().join("cardctl.toml"), "[issuer]\nlatency-p50 = '150ms'\nlatency-p99 = '200ms'\n")
        .unwrap();
    sandbox.up();
    let against = ["--baseline", "before/result.json"];
    let (code, document) = Running::start(&sandbox, &[&load[..], &against].concat()).ends();
    assert_eq!((code, &document["regression"]["verdict"]), (10, &"fail".into()), "{}", document["regression"]);
}

#[test]
fn a_platform_that_is_killed_and_comes_back_has_lost_nothing() {
    let sandbox = Sandbox::new();
    let port = free_port().to_string();
    sandbox.expect(0, &["up", "-d", "--port", &port]);
    let server = sandbox.record();
    let mut load = Running::start(&sandbox, &["-u", "5", "-d", "5s", "--settle", "500ms", "--slo", "none"]);
    load.reaches("steady");
    let ledger = ledger(&sandbox);
    run_of(&ledger);
    drop(ledger);
    server.process.signal(Signal::SIGKILL).unwrap();
    eventually("the platform is gone", || !server.process.is_alive());
    sandbox.expect(0, &["up", "-d", "--port", &port]);
    let (_, document) = load.ends();
    let audit = &document["correctness"];
    assert_eq!(
        (&audit["verdict"], &audit["lost"], &audit["duplicate"]),
        (&"pass".into(), &0.into(), &0.into()),
        "{audit}"
    );
    assert!(document["validity"]["stream_reconnects"].as_u64().unwrap() > 0, "{}", document["validity"]);
}
