//! The program `card-worker` as it is installed: what it says before there is a cluster.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

const DATABASE: (&str, &str) = ("CARDCTL_DATABASE", "postgres://card:hunter2@127.0.0.1:1/card");
const REDIS: (&str, &str) = ("CARDCTL_REDIS", "redis://:hunter2@127.0.0.1:1/0");
const ISSUER: (&str, &str) = ("CARDCTL_WORKER_ISSUER_URL", "http://127.0.0.1:1");

/// Exit code, stdout and stderr of the program, given these variables alone.
async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_card-worker"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(30), command.output()).await.expect("it ends by itself").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The one line that says why it did not start.
async fn reason(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let (code, stdout, stderr) = run(arguments, variables).await;
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(3), "", 1), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
    stderr.strip_prefix("error: ").unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn help_explains_flags_variables_and_exit_codes_by_example() {
    let (code, help, stderr) = run(&["--help"], &[]).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for word in [
        "Usage: card-worker",
        "--health-address",
        "--tied",
        "--announce",
        "CARDCTL_DATABASE_FILE",
        "CARDCTL_REDIS_FILE",
        "CARDCTL_WORKER_ISSUER_URL",
        "Examples:\n  card-worker",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    assert_eq!(run(&["--version"], &[]).await.1, format!("card-worker {}\n", card_core::VERSION));
    assert_eq!(run(&["--health-address", "here"], &[]).await.0, Some(2));
}

#[tokio::test]
async fn a_worker_names_what_it_was_not_given() {
    let nothing = reason(&[], &[ISSUER]).await;
    assert!(nothing.starts_with("a worker needs Postgres and Redis; set CARDCTL_DATABASE_FILE"), "{nothing}");
    let half = reason(&[], &[ISSUER, DATABASE]).await;
    assert!(half.ends_with("set CARDCTL_REDIS_FILE or CARDCTL_REDIS"), "{half}");
    let half = reason(&[], &[ISSUER, REDIS]).await;
    assert!(half.ends_with("set CARDCTL_DATABASE_FILE or CARDCTL_DATABASE"), "{half}");
    let issuer = reason(&[], &[DATABASE, REDIS]).await;
    assert!(issuer.contains("set CARDCTL_WORKER_ISSUER_URL"), "{issuer}");
    let file = reason(&["--config", "/nowhere/cards.toml"], &[ISSUER, DATABASE, REDIS]).await;
    assert!(file.starts_with("--config /nowhere/cards.toml: no such file"), "{file}");
}

#[tokio::test]
async fn a_variable_that_is_set_to_nothing_counts_as_unset() {
    let empty =
        ["CARDCTL_CONFIG", "CARDCTL_HEALTH_ADDRESS", "CARDCTL_COMPONENT", "SSL_CERT_FILE", "TOKIO_WORKER_THREADS"];
    let variables: Vec<_> = [ISSUER, DATABASE].into_iter().chain(empty.map(|name| (name, ""))).collect();
    assert_eq!(reason(&[], &variables).await, reason(&[], &[ISSUER, DATABASE]).await);
}

#[tokio::test]
async fn a_health_port_that_is_taken_is_named() {
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = held.local_addr().unwrap().to_string();
    let taken = reason(&["--health-address", &address], &[ISSUER, DATABASE, REDIS]).await;
    assert!(taken.starts_with(&address) && taken.ends_with("give another --health-address"), "{taken}");
}

#[tokio::test]
async fn a_stop_while_the_ledger_does_not_answer_ends_it() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let database = format!("postgres://card:hunter2@{}/card", silent.local_addr().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_card-worker"));
    command.arg("--tied").env_clear().envs([ISSUER, REDIS, ("CARDCTL_DATABASE", &database)]).kill_on_drop(true);
    let mut worker = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asked = timeout(Duration::from_secs(30), silent.accept()).await.expect("it asks the ledger").unwrap();
    drop(worker.stdin.take());
    let ended = timeout(Duration::from_secs(30), worker.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0));
    drop(asked);
}

/// A worker of some kinds gets as far as the ledger; a name of none ends it before, and is said.
#[tokio::test]
async fn a_worker_of_some_kinds_is_told_by_flag_or_variable() {
    for wrong in ["adds", ",", " ", "add,,purchase"] {
        let by_flag = reason(&["--kinds", wrong], &[ISSUER, DATABASE, REDIS]).await;
        let by_variable = reason(&[], &[ISSUER, DATABASE, REDIS, ("CARDCTL_WORKER_KINDS", wrong)]).await;
        assert!(by_flag.contains("the kinds are replacement, add, purchase"), "{by_flag}");
        assert!(by_variable.contains("worker.kinds"), "{by_variable}");
    }
    let without_issuer = reason(&["--kinds", "replacement,add"], &[DATABASE, REDIS]).await;
    assert!(without_issuer.contains("set CARDCTL_WORKER_ISSUER_URL"), "{without_issuer}");
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let database = format!("postgres://card:hunter2@{}/card", silent.local_addr().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_card-worker"));
    command.args(["--kinds", "add, purchase"]).env_clear().envs([REDIS, ("CARDCTL_DATABASE", &database)]);
    let worker = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    timeout(Duration::from_secs(30), silent.accept()).await.expect("it needs no issuer and asks the ledger").unwrap();
    drop(worker);
}
