use serde_json::{Value, json};

use crate::sandbox::Sandbox;

#[test]
fn what_is_bought_is_listed_and_summed_exactly() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let bought =
        sandbox.expect(0, &["purchases", "buy", "0.0001", "--item", "Käse", "-w", "--run", "r", "-o", "json"]).json();
    assert_eq!((&bought["kind"], &bought["status"]), (&json!("purchase"), &json!("succeeded")));
    assert_eq!(bought["result"], json!({"price": "0.0001", "item": "Käse"}));
    let owner = bought["owner"].as_str().unwrap();
    let page = sandbox.expect(0, &["purchases", "list", "--owner", owner, "-o", "json"]).json();
    let purchase = &page["items"][0];
    assert_eq!((&purchase["task"], &purchase["price"]), (&bought["id"], &json!("0.0001")));
    let line = sandbox.expect(0, &["purchases", "list", "--owner", owner, "-o", "jsonl"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(line.trim()).unwrap()["id"], purchase["id"]);
    let table = sandbox.expect(0, &["purchases", "list", "--owner", owner]).stdout;
    assert!(table.contains("0.0001") && table.contains("Käse"), "{table}");
    let summary = sandbox.expect(0, &["purchases", "summary", "--owner", owner, "-o", "json"]).json();
    assert_eq!((&summary["count"], &summary["total"]), (&json!(1), &json!("0.0001")));
    assert_eq!((&summary["first_at"], &summary["last_at"]), (&purchase["purchased_at"], &purchase["purchased_at"]));
    let at = purchase["purchased_at"].as_str().unwrap();
    let before = sandbox.expect(0, &["purchases", "summary", "--owner", owner, "--to", at]).stdout;
    assert!(before.contains("total 0.00\n"), "{before}");
    let none = sandbox.expect(0, &["purchases", "list", "--owner", owner, "--to", at]);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "none\n"));
    // Without a wait it is accepted, and the command to follow it is told.
    let accepted = sandbox.expect(0, &["purchases", "buy", "7"]);
    assert!(accepted.stderr.contains("to follow: cardctl watch tsk_"), "{}", accepted.stderr);
}

#[test]
fn a_purchase_that_can_not_be_is_refused_before_it_is_sent() {
    let sandbox = Sandbox::new();
    for price in ["0", "-1", "1.00001", "1,5", "1e3", "NaN", "1000000000000.0001", "٣"] {
        let ended = sandbox.expect(2, &["purchases", "buy", price]);
        assert!(ended.stderr.contains("above 0 and at most 1000000000000"), "{price}: {}", ended.stderr);
    }
    for item in ["", "a\u{7}b", &"x".repeat(201)] {
        let ended = sandbox.expect(2, &["purchases", "buy", "1", "--item", item]);
        assert!(ended.stderr.contains("--item must have"), "{item}: {}", ended.stderr);
    }
    let owner = "usr_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";
    let (from, to) = ("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z");
    let ended = sandbox.expect(2, &["purchases", "list", "--owner", owner, "--from", from, "--to", to]);
    assert!(ended.stderr.contains("--to is before --from"), "{}", ended.stderr);
    sandbox.expect(2, &["purchases", "list"]);
    sandbox.expect(4, &["purchases", "summary", "--owner", owner]);
}

#[test]
fn a_submitted_purchase_is_in_the_history_and_a_made_up_cursor_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let payload = r#"{"price":"1.10"}"#;
    let submitted =
        sandbox.expect(0, &["submit", "--kind", "purchase", "--payload", payload, "-w", "-o", "json"]).json();
    let owner = submitted["tasks"][0]["user"].as_str().unwrap();
    let page = sandbox.expect(0, &["purchases", "list", "--owner", owner, "--limit", "1", "-o", "json"]).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (1, &json!(null)));
    let wrong = sandbox.expect(2, &["purchases", "list", "--owner", owner, "--cursor", "made-up"]);
    assert!(wrong.stderr.contains("cursor"), "{}", wrong.stderr);
}
