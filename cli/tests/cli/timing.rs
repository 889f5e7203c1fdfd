//! When tasks are done: not before their time, through crashes as well, and by their priority.

use card_core::ids::RunId;
use card_core::tasks::Status;
use serde_json::{Value, json};

use crate::place::Place;
use crate::sandbox::{Sandbox, eventually};

fn at(task: &Value, field: &str) -> jiff::Timestamp {
    task[field].as_str().unwrap_or_else(|| panic!("{field}: {task}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_later_is_not_begun_before_and_survives_a_kill() {
    for place in Place::both("") {
        place.up();
        place.expect(0, &["submit", "-c", "5", "--kind", "add", "--due-in", "3s", "--run", "later"]);
        place.expect(0, &["submit", "-c", "5", "--due-in", "3s", "--run", "later"]);
        let stats = place.stats();
        assert_eq!((&stats["queue"]["scheduled"], &stats["queue"]["ready"]), (&json!(10), &json!(0)), "{stats}");
        let status = place.expect(0, &["status"]);
        assert!(status.stdout.contains("10 scheduled"), "{}", status.stdout);
        // Others are not held up, and what is for later does not keep a platform from being idle.
        place.expect(0, &["submit", "-c", "5", "--kind", "add", "-w", "--progress", "none"]);
        place.expect(0, &["status", "--wait", "--for", "idle", "--timeout", "60s"]);
        let before = place.tasks(&["--run", "later"]);
        assert!(before.iter().all(|task| task["status"] == "queued" && task["started_at"].is_null()), "{before:?}");
        place.kill();

        place.up();
        let watched = place.expect(0, &["watch", "--run", "later", "--expect", "10", "--timeout", "90s", "-o", "json"]);
        assert_eq!(watched.json()["succeeded"], 10, "{}", watched.stdout);
        for task in place.tasks(&["--run", "later"]) {
            assert!(at(&task, "started_at") >= at(&task, "due_at"), "{task}");
            assert!(at(&task, "due_at") > at(&task, "accepted_at"), "{task}");
        }
        let page = place.sandbox.client().effects(&"later".parse::<RunId>().unwrap(), None).await.unwrap();
        let sound = |status, effects, finals| (status, effects, finals) == (Status::Succeeded, 1, 1);
        assert_eq!(page.items.iter().filter(|item| sound(item.status, item.effects, item.finals)).count(), 10);
        // Followed to their end, with the audit.
        let submit = ["submit", "-c", "5", "--due-in", "1s", "-w", "--timeout", "60s", "-o", "json"];
        let document = place.expect(0, &submit).json();
        assert_eq!((&document["succeeded"], &document["lost"]), (&json!(5), &json!(0)), "{document}");
        assert!(document["e2e_ms"]["p50"].as_f64() >= Some(900.0), "from the request: {document}");
        place.expect(0, &["down"]);
    }
}

#[test]
fn a_time_that_can_not_be_waited_for_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for (arguments, said) in [
        (&["--due-in", "20m", "-w", "--timeout", "10m"][..], "due after the end of --timeout"),
        (&["--due-in", "soon"], "must be a number and a unit"),
        (&["--due-at", "tomorrow"], "must be a date, a time and a zone"),
        (&["--due-in", "1m", "--due-at", "2030-01-01T00:00:00Z"], "cannot be used with"),
        (&["--priority", "urgent"], "high, normal, low"),
        (&["--due-in", "400d"], "error[usage]: tasks can be due at most 366 days ahead"),
        (&["--kind", "ad", "--payload", "{}"], "/kind: must be one of replacement, add"),
    ] {
        let ended = sandbox.expect(2, &[&["submit"], arguments].concat());
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    }
    let listed = sandbox.expect(0, &["tasks", "list", "--kind", "replacement", "-o", "json"]).json();
    assert_eq!(listed["items"], json!([]));
    // What is past is due at once.
    sandbox.expect(0, &["submit", "--due-at", "2020-01-01T00:00:00Z", "-w", "--timeout", "60s"]);
}

#[test]
fn high_ones_overtake_and_low_ones_do_not_starve() {
    const MANY: usize = 300;
    const FEW: usize = 60;
    // Few at once, so that there is an order.
    for place in Place::both("[worker]\nconcurrency = 3\n") {
        place.up();
        place.expect(0, &["queue", "pause"]);
        let submit = |count: usize, priority: &str| {
            let count = count.to_string();
            let arguments = ["submit", "--kind", "add", "--run", "r", "-c", &count, "--priority", priority];
            place.expect(0, &[&arguments[..], &["-w", "--timeout", "3m", "-o", "json"]].concat()).json()
        };
        let accepted = |count: usize| place.tasks(&["--run", "r"]).len() == count;
        let ended = std::thread::scope(|scope| {
            let (low, normal) = (scope.spawn(|| submit(MANY, "low")), scope.spawn(|| submit(MANY, "normal")));
            eventually("low and normal ones wait", || accepted(2 * MANY));
            let high = scope.spawn(|| submit(FEW, "high"));
            eventually("all wait", || accepted(2 * MANY + FEW));
            place.expect(0, &["queue", "resume"]);
            [low, normal, high].map(|submitting| submitting.join().unwrap())
        });
        for document in ended {
            assert_eq!(document["succeeded"], document["accepted"], "{document}");
            for wrong in ["lost", "duplicate", "pending", "dead", "declined"] {
                assert_eq!(document[wrong], 0, "{wrong}: {document}");
            }
        }
        let mut tasks = place.tasks(&["--run", "r"]);
        tasks.sort_by_key(|task| at(task, "started_at"));
        let places = |priority: &str| -> Vec<usize> {
            let of = tasks.iter().enumerate().filter(|(_, task)| task["priority"] == priority);
            of.map(|(place, _)| place).collect()
        };
        let (low, normal, high) = (places("low"), places("normal"), places("high"));
        assert_eq!((low.len(), normal.len(), high.len()), (MANY, MANY, FEW));
        // They came last, and there were five times as many before them.
        assert!(high[FEW - 1] < MANY, "the last high one began as number {}", high[FEW - 1]);
        assert!(normal[MANY / 2] < low[MANY / 2], "{} {}", normal[MANY / 2], low[MANY / 2]);
        let meanwhile = low.iter().filter(|place| **place < normal[MANY - 1]).count();
        assert!(meanwhile >= 10, "only {meanwhile} low ones began before the last normal one");
        place.expect(0, &["down"]);
    }
}
