use card_loadtests::client::{Behaviour, Client, Token};
use cardctl::instance::Paths;
use serde_json::json;

use crate::masked::masked;
use crate::sandbox::Sandbox;

/// A platform whose issuer fails, and three dead letters.
fn with_dead_letters() -> Sandbox {
    let sandbox = Sandbox::new();
    let settings = "[issuer]\nerror-rate = 1.0\n[worker.retry]\nmax-attempts = 2\nbase = '1ms'\n";
    std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
    sandbox.up();
    sandbox.expect(6, &["submit", "-c", "3", "--run", "r", "-w"]);
    sandbox
}

async fn mend(sandbox: &Sandbox) {
    let record = sandbox.record();
    let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
    let issuer = Client::new(&record.issuer_url.unwrap(), Some(Token::new(token.trim()))).unwrap();
    issuer.set_behaviour(&Behaviour(json!({ "error_rate": 0.0 }))).await.unwrap();
}

#[test]
fn dead_letters_are_listed_and_explained() {
    let sandbox = with_dead_letters();
    insta::assert_snapshot!(
        "list",
        masked(&sandbox.transcript(&["dlq", "list", "--error", "issuer", "--since", "1h"]))
    );
    insta::assert_snapshot!("none", masked(&sandbox.transcript(&["dlq", "list", "--error", "no such error"])));
    let list = sandbox.expect(0, &["dlq", "list", "-o", "json"]).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let task = list["items"][0]["id"].as_str().unwrap();
    insta::assert_snapshot!("show", masked(&sandbox.transcript(&["dlq", "show", task])));
}

#[tokio::test]
async fn retrying_many_needs_a_yes_and_then_they_succeed() {
    let sandbox = with_dead_letters();
    mend(&sandbox).await;
    insta::assert_snapshot!("retry_unconfirmed", masked(&sandbox.transcript(&["dlq", "retry"])));
    let tried = sandbox.expect(0, &["dlq", "retry", "--dry-run", "-o", "json"]).json();
    assert_eq!((&tried["matched"], &tried["done"]), (&3.into(), &0.into()));
    let done = sandbox.expect(0, &["dlq", "retry", "--rate", "100/s", "--yes", "-o", "json"]).json();
    assert_eq!((&done["matched"], &done["done"]), (&3.into(), &3.into()));
    let summary = sandbox.expect(0, &["watch", "--run", "r", "--timeout", "20s", "-o", "json"]).json();
    assert_eq!(summary["succeeded"], 3);
}

#[tokio::test]
async fn one_can_be_retried_by_its_name() {
    let sandbox = with_dead_letters();
    mend(&sandbox).await;
    let list = sandbox.expect(0, &["dlq", "list", "-o", "json"]).json();
    let task = list["items"][0]["id"].as_str().unwrap();
    sandbox.expect(0, &["dlq", "retry", task]);
    sandbox.expect(0, &["tasks", "get", task, "--wait", "10s", "--exit-status"]);
}

#[test]
fn discarding_needs_a_reason_and_a_yes() {
    let sandbox = with_dead_letters();
    sandbox.expect(2, &["dlq", "discard"]);
    sandbox.expect(3, &["dlq", "discard", "--reason", "superseded"]);
    let done = sandbox.expect(0, &["dlq", "discard", "--reason", "superseded", "--yes", "-o", "json"]).json();
    assert_eq!((&done["matched"], &done["done"]), (&3.into(), &3.into()));
    assert_eq!(sandbox.expect(0, &["dlq", "list", "-o", "json"]).json()["items"], json!([]));
}
