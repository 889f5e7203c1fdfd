//! Tasks that an operator calls off, whatever becomes of them meanwhile.

use card_core::ids::RunId;
use card_core::tasks::Status;
use serde_json::{Value, json};

use crate::masked::masked;
use crate::place::Place;
use crate::sandbox::{Ended, Sandbox, eventually};

/// An attempt that fails is made again much later, and one that hangs is not given up.
const PATIENT: &str = "[worker]\nconcurrency = 3\n[worker.retry]\nmax-attempts = 1000\nbase = '2m'\ncap = '2m'\n\
                       [worker.issuer]\ntimeout = '2m'\nbreaker-min-calls = 100000\n";

fn ids(tasks: &[Value]) -> Vec<&str> {
    tasks.iter().map(|task| task["id"].as_str().unwrap()).collect()
}

/// How many of a run are in which status.
fn count(place: &Place, run: &str, status: Status) -> usize {
    place.tasks(&["--run", run, "--status", status.as_str()]).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_runs_or_is_retried_is_cancelled_and_has_no_effect() {
    for place in Place::both(PATIENT) {
        place.up();
        let submit = |count: &str| drop(place.expect(0, &["submit", "-c", count, "--run", "r"]));
        place.issuer(json!({"error_rate": 1.0})).await;
        submit("6");
        eventually("some wait for another attempt", || count(&place, "r", Status::Retrying) >= 3);
        place.issuer(json!({"error_rate": 0.0, "hang_rate": 1.0})).await;
        submit("8");
        let of = |status| count(&place, "r", status);
        eventually("some run and some wait", || of(Status::Running) >= 3 && of(Status::Queued) >= 3);

        let cancel = ["tasks", "cancel", "--run", "r", "--reason", "superseded", "-o", "json"];
        let dry = place.expect(0, &[&cancel[..], &["--dry-run"]].concat()).json();
        assert_eq!((&dry["matched"], &dry["done"], &dry["refused"]), (&json!(14), &json!(0), &json!([])), "{dry}");
        let asked = place.expect(3, &cancel);
        assert!(asked.stderr.contains("cancelling 14 tasks needs confirmation"), "{}", asked.stderr);
        assert_eq!(of(Status::Cancelled), 0);
        let done = place.expect(0, &[&cancel[..], &["--yes"]].concat()).json();
        assert_eq!((&done["matched"], &done["done"], &done["refused"]), (&json!(14), &json!(14), &json!([])), "{done}");
        let statuses = done["statuses"].as_object().unwrap();
        assert!(["queued", "running", "retrying"].iter().all(|status| statuses[*status].as_u64() > Some(0)), "{done}");
        // Nothing is left, so the same again does nothing.
        let again = place.expect(0, &[&cancel[..], &["--yes"]].concat()).json();
        assert_eq!((&again["matched"], &again["done"]), (&json!(0), &json!(0)));

        // Those that hung are dropped and their places free, long before the issuer would have been given up.
        place.issuer(json!({"hang_rate": 0.0})).await;
        place.expect(0, &["submit", "-c", "10", "-w", "--timeout", "60s", "--progress", "none"]);

        let cancelled = place.tasks(&["--run", "r", "--status", "cancelled", "--error", "^cancelled: superseded$"]);
        assert_eq!(cancelled.len(), 14);
        assert!(cancelled.iter().all(|task| task["settled_at"].is_string() && task["result"].is_null()));
        let page = place.sandbox.client().effects(&"r".parse::<RunId>().unwrap(), None).await.unwrap();
        let sound = |status, effects, finals| status == Status::Cancelled && effects == 0 && finals == 1;
        assert_eq!(page.items.iter().filter(|item| sound(item.status, item.effects, item.finals)).count(), 14);
        let watched = place.expect(6, &["watch", "--run", "r", "-o", "json"]).json();
        assert_eq!((&watched["cancelled"], &watched["pending"]), (&json!(14), &json!(0)), "{watched}");
        let stats = place.stats();
        for (name, value) in [("ready", 0), ("running", 0), ("retrying", 0), ("scheduled", 0), ("dead", 0)] {
            assert_eq!(stats["queue"][name], value, "{name}: {stats}");
        }
        assert_eq!(stats["accepted_total"], stats["settled_total"], "{stats}");
        place.expect(0, &["down"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_which_some_are_cancelled_passes_its_audit() {
    for place in Place::both("") {
        place.up();
        place.expect(0, &["queue", "pause"]);
        let submitted = std::thread::scope(|scope| {
            let submitting = scope.spawn(|| {
                let submit = ["submit", "-c", "40", "--run", "r", "-w", "--timeout", "2m", "--cleanup", "-o", "json"];
                place.expect(6, &submit)
            });
            eventually("all are accepted", || place.tasks(&["--run", "r"]).len() == 40);
            let cancel = ["tasks", "cancel", "--run", "r", "--reason", "r", "--limit", "15", "--yes", "-o", "jsonl"];
            let lines = place.expect(0, &cancel);
            let lines: Vec<Value> = lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let [tasks @ .., summary] = lines.as_slice() else { panic!("{lines:?}") };
            assert!(
                tasks.len() == 15 && tasks.iter().all(|line| line["type"] == "task" && line["outcome"] == "cancelled")
            );
            assert_eq!((&summary["type"], &summary["done"]), (&json!("summary"), &json!(15)), "{summary}");
            place.expect(0, &["queue", "resume"]);
            submitting.join().unwrap()
        });
        let document = submitted.json();
        for (name, value) in [
            ("accepted", 40),
            ("succeeded", 25),
            ("cancelled", 15),
            ("declined", 0),
            ("dead", 0),
            ("pending", 0),
            ("lost", 0),
            ("duplicate", 0),
        ] {
            assert_eq!(document[name], value, "{name}: {document}");
        }
        assert!(submitted.stderr.contains("40 accounted for, 0 lost, 0 duplicate, 0 stuck"), "{}", submitted.stderr);
        assert!(submitted.stderr.contains("cleaned up: 40 users, 40 tasks"), "{}", submitted.stderr);
        place.expect(0, &["down"]);
    }
}

#[test]
fn what_is_final_is_refused_by_its_name_and_what_is_cancelled_is_not_retried() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["submit", "--run", "well", "-w"]);
    let list = |run: &str| sandbox.expect(0, &["tasks", "list", "--run", run, "-o", "json"]).json()["items"].clone();
    let well = list("well")[0]["id"].as_str().unwrap().to_owned();
    sandbox.expect(0, &["queue", "pause"]);
    sandbox.expect(0, &["submit", "--run", "open"]);
    let open = list("open")[0]["id"].as_str().unwrap().to_owned();
    fn cancel<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["tasks", "cancel", "--reason", "asked for by mistake"], more].concat()
    }
    insta::assert_snapshot!("dry_run", masked(&sandbox.transcript(&cancel(&["--status", "queued", "--dry-run"]))));
    insta::assert_snapshot!("refused", masked(&sandbox.transcript(&cancel(&[&well]))));
    insta::assert_snapshot!("cancelled", masked(&sandbox.transcript(&cancel(&[&open]))));
    // Safe to repeat, and the first reason stays.
    let again = sandbox.expect(0, &["tasks", "cancel", &open, "--reason", "another", "-o", "json"]).json();
    assert_eq!(again["done"], 1);
    insta::assert_snapshot!("sheet", masked(&sandbox.transcript(&["tasks", "get", &open, "--exit-status"])));
    insta::assert_snapshot!("retry", masked(&sandbox.transcript(&["tasks", "retry", &open])));
    let mixed = sandbox.expect(3, &cancel(&[&open, &well, "-o", "json", "--yes"])).json();
    assert_eq!((&mixed["matched"], &mixed["done"]), (&json!(1), &json!(1)));
    assert_eq!(mixed["refused"], json!([{"task": well, "code": "task-final", "status": "succeeded"}]));
    let unknown = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";
    insta::assert_snapshot!("unknown", masked(&sandbox.transcript(&cancel(&[unknown]))));
    insta::assert_snapshot!("listed", masked(&sandbox.transcript(&["tasks", "list", "--status", "cancelled"])));
}

#[test]
fn what_is_meant_must_be_said() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for (arguments, said) in [
        (&["--reason", "r"][..], "required"),
        (&["--run", "r"], "--reason"),
        (&["--run", "r", "--reason", " "], "1 to 500 characters"),
        (&["--run", "r", "--reason", "for 4111 1111 1111 1111"], "could be a card's"),
        (&["--status", "dead", "--reason", "r"], "a dead task is final"),
        (&["--status", "done", "--reason", "r"], "queued, running, retrying"),
        (&["--error", "(", "--reason", "r"], "regex"),
        (&["tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b", "--run", "r", "--reason", "r"], "cannot be used with"),
    ] {
        let ended = sandbox.expect(2, &[&["tasks", "cancel"], arguments].concat());
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_filter_means_what_it_says() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["queue", "pause"]);
    sandbox.expect(0, &["submit", "-c", "3", "--run", "a"]);
    sandbox.expect(0, &["submit", "-c", "2", "--run", "b", "--kind", "add"]);
    let list = sandbox.expect(0, &["tasks", "list", "--run", "a", "-o", "json"]).json();
    let owner = list["items"][0]["owner"].as_str().unwrap();
    for (filter, matched) in [
        (&["--run", "a"][..], 3),
        (&["--kind", "add"], 2),
        (&["--owner", owner], 1),
        (&["--status", "queued"], 5),
        (&["--status", "running"], 0),
        (&["--since", "1h"], 5),
        (&["--since", "0"], 0),
        (&["--since", "1h", "--run", "b", "--limit", "1"], 1),
        (&["--error", "issuer"], 0),
    ] {
        let cancel = ["tasks", "cancel", "--reason", "r", "--dry-run", "-o", "json"];
        let found = sandbox.expect(0, &[&cancel[..], filter].concat()).json();
        assert_eq!(found["matched"], matched, "{filter:?}: {found}");
        assert_eq!(ids(found["sample"].as_array().unwrap()).len(), matched, "{filter:?}: {found}");
    }
}

#[test]
fn ctrl_c_says_how_far_it_came_and_the_same_again_goes_on() {
    use std::io::{BufRead, BufReader};

    const ALL: usize = 3000;
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["queue", "pause"]);
    sandbox.expect(0, &["submit", "-c", &ALL.to_string(), "--concurrency", "64", "--kind", "add", "--run", "r"]);
    let arguments = ["tasks", "cancel", "--run", "r", "--reason", "r", "--yes", "-o", "jsonl"];
    let mut command = sandbox.command(&arguments);
    let piped = std::process::Stdio::piped;
    let mut cancelling = command.stdout(piped()).stderr(piped()).spawn().unwrap();
    let mut lines = BufReader::new(cancelling.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut told: Vec<String> = lines.by_ref().take(2).collect();
    cardctl::instance::Process::of(cancelling.id()).unwrap().signal(nix::sys::signal::Signal::SIGINT).unwrap();
    told.extend(lines);
    let ended = Ended::of(cancelling.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let told: Vec<Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, tasks) = told.split_last().unwrap();
    let done = tasks.len();
    assert!((2..ALL).contains(&done), "{done}");
    assert_eq!((&summary["done"], &summary["error"]["code"]), (&json!(done), &json!("interrupted")));
    assert!(ended.stderr.contains(&format!("{done} tasks cancelled, {} not", ALL - done)), "{}", ended.stderr);
    let rest = sandbox.expect(0, &arguments);
    let summary: Value = serde_json::from_str(rest.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["matched"], &summary["done"]), (&json!(ALL - done), &json!(ALL - done)), "{summary}");
}
