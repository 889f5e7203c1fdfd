use crate::masked::masked;
use crate::sandbox::Sandbox;

fn only_task(sandbox: &Sandbox, run: &str) -> String {
    let list = sandbox.expect(0, &["tasks", "list", "--run", run, "-o", "json"]).json();
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_task_from_list_to_sheet() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["submit", "--run", "r", "-w"]);
    insta::assert_snapshot!("list", masked(&sandbox.transcript(&["tasks", "list", "--run", "r"])));
    let task = only_task(&sandbox, "r");
    insta::assert_snapshot!("get", masked(&sandbox.transcript(&["tasks", "get", &task, "--exit-status"])));
    let sheet = sandbox.expect(0, &["tasks", "get", &task, "-o", "json"]).json();
    assert_eq!((&sheet["task"]["status"], sheet["attempts"].as_array().unwrap().len()), (&"succeeded".into(), 1));
    insta::assert_snapshot!("retry_not_dead", masked(&sandbox.transcript(&["tasks", "retry", &task])));
    insta::assert_snapshot!("none", masked(&sandbox.transcript(&["tasks", "list", "--status", "dead"])));
}

#[test]
fn exit_status_tells_pending_from_failed_from_unknown() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.work().join("cardctl.toml"), "[issuer]\ndecline-rate = 1.0\n").unwrap();
    sandbox.up();
    sandbox.expect(6, &["submit", "--run", "declined", "-w"]);
    sandbox.expect(6, &["tasks", "get", &only_task(&sandbox, "declined"), "--exit-status"]);
    sandbox.expect(0, &["tasks", "get", &only_task(&sandbox, "declined")]);
    sandbox.expect(0, &["queue", "pause"]);
    sandbox.expect(0, &["submit", "--run", "pending"]);
    let pending = only_task(&sandbox, "pending");
    sandbox.expect(8, &["tasks", "get", &pending, "--exit-status", "--wait", "100ms"]);
    let unknown = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";
    insta::assert_snapshot!(masked(&sandbox.transcript(&["tasks", "get", unknown, "--exit-status"])));
}

#[test]
fn pages_are_joined_and_a_cursor_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["submit", "-c", "7", "--kind", "add", "--run", "r", "-w"]);
    let first = sandbox.expect(0, &["tasks", "list", "--run", "r", "--limit", "4", "-o", "json"]).json();
    assert_eq!(first["items"].as_array().unwrap().len(), 4);
    let cursor = first["next"].as_str().unwrap();
    let rest = sandbox.expect(0, &["tasks", "list", "--run", "r", "--cursor", cursor, "-o", "jsonl"]);
    assert_eq!(rest.stdout.lines().count(), 3);
}
