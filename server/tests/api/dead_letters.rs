use card_core::ids::TaskId;
use card_core::problem::Code;
use card_core::tasks::{Status, Task, TaskPage};
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, eventually, ok, problem};

/// So many dead replacements in a run, and the issuer well again.
async fn dead(app: &TestApp, run: &str, count: usize) -> Vec<Task> {
    app.issuer(&json!({"error_rate": 1.0})).await;
    let mut tasks = Vec::new();
    for token in app.users(run, count).await {
        let task: Task =
            ok(app.post("/replacements", &token, &json!({"reason": "lost"})).header("x-run-id", run)).await;
        tasks.push(task);
    }
    for task in &mut tasks {
        *task = app.finished(task.id).await;
        assert_eq!(task.status, Status::Dead);
    }
    app.issuer(&json!({"error_rate": 0.0})).await;
    tasks
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_retried() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let tasks = dead(&app, "run-1", 5).await;
    let page: TaskPage = ok(app.get("/dead-letters?limit=3&since=10m&error=issuer", OPERATOR)).await;
    assert_eq!((page.items.len(), page.next.is_some()), (3, true));
    let none: TaskPage = ok(app.get("/dead-letters?error=no-such-error", OPERATOR)).await;
    assert!(none.items.is_empty());

    let dry: Value =
        ok(app.post("/dead-letters/retry", OPERATOR, &json!({"filter": {"run": "run-1"}, "dry_run": true}))).await;
    assert_eq!((&dry["matched"], &dry["done"], dry["sample"].as_array().unwrap().len()), (&5.into(), &0.into(), 5));
    let body = json!({"filter": {"error": "issuer", "since": "1h", "kind": "replacement"}, "limit": 2, "rate": 100});
    let some: Value = ok(app.post("/dead-letters/retry", OPERATOR, &body)).await;
    assert_eq!((&some["matched"], &some["done"]), (&2.into(), &2.into()));
    let rest: Value = ok(app.post("/dead-letters/retry", OPERATOR, &json!({}))).await;
    eventually("all succeed", async || {
        let page: TaskPage = ok(app.get("/tasks?run=run-1&status=succeeded", OPERATOR)).await;
        (page.items.len() == 5).then_some(())
    })
    .await;
    assert_eq!(rest["done"], rest["matched"]);
    let empty: TaskPage = ok(app.get("/dead-letters", OPERATOR)).await;
    assert!(empty.items.is_empty());
    assert_eq!(tasks.len(), 5);
}

#[tokio::test]
async fn letters_are_grouped_by_their_error() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let unavailable = dead(&app, "run-1", 3).await;
    app.issuer(&json!({"garbage_rate": 1.0})).await;
    let token = app.user("u").await;
    let replacement = app.post("/replacements", &token, &json!({"reason": "lost"})).header("x-run-id", "run-2");
    let garbage = app.finished(ok::<Task>(replacement).await.id).await;

    let groups: Value = ok(app.get("/dead-letters/groups", OPERATOR)).await;
    assert_eq!((&groups["total"], &groups["next"]), (&4.into(), &Value::Null));
    let [first, second] = groups["items"].as_array().unwrap().as_slice() else { panic!("{groups}") };
    assert_eq!((&first["code"], &first["count"]), (&"issuer-unavailable".into(), &3.into()));
    assert_eq!(first["kinds"], json!({"replacement": 3}));
    assert_eq!(first["message"], "the issuer answered HTTP 503");
    let died = |pick: fn(_) -> Option<_>| pick(unavailable.iter().map(|task| task.settled_at.unwrap()).collect());
    assert_eq!(first["oldest"], json!(died(|all: Vec<_>| all.into_iter().min())));
    assert_eq!(first["newest"], json!(died(|all: Vec<_>| all.into_iter().max())));
    let latest = unavailable.iter().max_by_key(|task| task.settled_at).unwrap();
    assert_eq!(first["sample"], json!(latest.id));
    assert_eq!((&second["code"], &second["count"]), (&"issuer-answered-garbage".into(), &1.into()));
    assert_eq!(second["sample"], json!(garbage.id));

    for (filter, total) in
        [("run=run-2", 1), ("kind=replacement", 4), ("kind=add", 0), ("error=HTTP 503", 3), ("error=nothing", 0)]
    {
        let groups: Value = ok(app.get(&format!("/dead-letters/groups?{filter}&since=1h"), OPERATOR)).await;
        assert_eq!(groups["total"], total, "{filter}: {groups}");
    }
}

#[tokio::test]
async fn letters_can_be_named() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let tasks = dead(&app, "run-1", 3).await;
    let token = app.user("well").await;
    let well = app.finished(app.replace(&token).await.id).await;
    let (nobody, [a, b, c]) = (TaskId::new(), [tasks[0].id, tasks[1].id, tasks[2].id]);

    let filter = json!({"tasks": [a, well.id, nobody, a]});
    let body = json!({"filter": filter, "dry_run": true, "reason": "superseded"});
    let dry: Value = ok(app.post("/dead-letters/discard", OPERATOR, &body)).await;
    assert_eq!((&dry["matched"], &dry["done"]), (&1.into(), &0.into()));
    let refused = json!([{"task": well.id, "code": "not-dead"}, {"task": nobody, "code": "not-found"}]);
    assert_eq!(dry["refused"], refused);

    let body = json!({"filter": filter, "reason": "superseded"});
    let done: Value = ok(app.post("/dead-letters/discard", OPERATOR, &body)).await;
    assert_eq!((&done["matched"], &done["done"], &done["refused"]), (&1.into(), &1.into(), &refused));
    let done: Value =
        ok(app.post("/dead-letters/retry", OPERATOR, &json!({"filter": {"tasks": [c, b]}, "limit": 1}))).await;
    assert_eq!((&done["done"], &done["sample"][0]["id"]), (&1.into(), &json!(c)));
    assert_eq!(app.finished(c).await.status, Status::Succeeded);
    let left: TaskPage = ok(app.get("/dead-letters", OPERATOR)).await;
    assert_eq!(left.items.iter().map(|task| task.id).collect::<Vec<_>>(), [b]);
    // What was discarded is dead, and no dead letter.
    let again: Value = ok(app.post("/dead-letters/retry", OPERATOR, &json!({"filter": {"tasks": [a]}}))).await;
    assert_eq!((&again["done"], &again["refused"][0]["code"]), (&0.into(), &"not-dead".into()));
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_retry_is_named() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    app.issuer(&json!({"error_rate": 1.0})).await;
    let tokens = app.users("run-1", 2).await;
    let mut dead = Vec::new();
    for token in &tokens {
        dead.push(app.finished(app.replace(token).await.id).await.id);
    }
    assert!(app.post("/queue/pause", OPERATOR, &json!({})).send().await.unwrap().status().is_success());
    let open = app.replace(&tokens[0]).await;
    let done: Value = ok(app.post("/dead-letters/retry", OPERATOR, &json!({}))).await;
    assert_eq!((&done["matched"], &done["done"]), (&2.into(), &1.into()));
    assert_eq!(done["refused"], json!([{"task": dead[0], "code": "replacement-open", "open_task": open.id}]));
}

#[tokio::test]
async fn a_discard_keeps_its_limit_and_its_rate() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let tasks = dead(&app, "run-1", 6).await;
    let dry: Value =
        ok(app.post("/dead-letters/discard", OPERATOR, &json!({"reason": "r", "limit": 4, "dry_run": true}))).await;
    assert_eq!((&dry["matched"], &dry["done"]), (&4.into(), &0.into()));
    let begin = std::time::Instant::now();
    let done: Value =
        ok(app.post("/dead-letters/discard", OPERATOR, &json!({"reason": "r", "limit": 4, "rate": 20}))).await;
    assert_eq!((&done["matched"], &done["done"]), (&4.into(), &4.into()));
    assert!(begin.elapsed().as_millis() >= 140, "four at twenty a second are not done in {:?}", begin.elapsed());
    // Newest first: the oldest two are left.
    let left: TaskPage = ok(app.get("/dead-letters", OPERATOR)).await;
    assert_eq!(left.items.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1].id, tasks[0].id]);
}

#[tokio::test]
async fn a_retry_keeps_its_rate() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    dead(&app, "run-1", 5).await;
    let begin = std::time::Instant::now();
    let done: Value = ok(app.post("/dead-letters/retry", OPERATOR, &json!({"rate": 10}))).await;
    assert_eq!(done["done"], 5);
    assert!(begin.elapsed().as_millis() >= 390, "five at ten a second take four tenths, not {:?}", begin.elapsed());
}

#[tokio::test]
async fn what_is_discarded_is_off_the_list() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let tasks = dead(&app, "run-1", 2).await;
    let body = json!({"filter": {"run": "run-1"}, "reason": "the holders have new cards"});
    let done: Value = ok(app.post("/dead-letters/discard", OPERATOR, &body)).await;
    assert_eq!((&done["matched"], &done["done"]), (&2.into(), &2.into()));
    let page: TaskPage = ok(app.get("/dead-letters", OPERATOR)).await;
    assert!(page.items.is_empty());
    let stats: Value = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!(stats["queue"]["dead"], 0);
    let kept: Task = ok(app.get(&format!("/tasks/{}", tasks[0].id), OPERATOR)).await;
    assert_eq!(kept.status, Status::Dead);
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at() {
    let app = TestApp::without_workers().await;
    for (path, body, pointer) in [
        ("retry", json!({"filter": {"error": "("}}), "/filter/error"),
        ("retry", json!({"filter": {"error": "x".repeat(513)}}), "/filter/error"),
        ("retry", json!({"filter": {"error": r"\w{1000}{1000}"}}), "/filter/error"),
        ("retry", json!({"filter": {"since": "yesterday"}}), "/filter/since"),
        ("retry", json!({"filter": {"kind": "x"}}), "/filter/kind"),
        ("retry", json!({"filter": {"stauts": "x"}}), "/filter/stauts"),
        ("retry", json!({"filter": [null, null]}), "/filter"),
        ("retry", json!({"filter": {"tasks": ["x"]}}), "/filter/tasks/0"),
        ("retry", json!({"filter": {"tasks": [TaskId::new()], "run": "r"}}), "/filter/tasks"),
        ("retry", json!({"filter": {"tasks": (0..1001).map(|_| TaskId::new()).collect::<Vec<_>>()}}), "/filter/tasks"),
        ("retry", json!({"rate": 0}), "/rate"),
        ("retry", json!({"limit": 0}), "/limit"),
        ("discard", json!({"filter": {}}), ""),
        ("discard", json!({"filter": {}, "reason": " "}), "/reason"),
        ("discard", json!({"reason": "r", "rate": 0}), "/rate"),
        ("discard", json!({"reason": "r", "limit": 0}), "/limit"),
    ] {
        let problem = problem(app.post(&format!("/dead-letters/{path}"), OPERATOR, &body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
    for path in ["", "/groups"] {
        for query in ["error=(", "since=soon", "limit=0", "run=", "cursor=x", "sicne=1h"] {
            let problem = problem(app.get(&format!("/dead-letters{path}?{query}"), OPERATOR)).await;
            assert_eq!(problem.code, Code::ValidationFailed, "{path} {query}");
        }
    }
}

#[tokio::test]
async fn what_an_operator_writes_of_an_owner_is_not_told_to_the_owner() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    app.issuer(&json!({"error_rate": 1.0})).await;
    let token = app.user("run-1").await;
    let task = app.finished(app.replace(&token).await.id).await;
    assert_eq!(task.status, Status::Dead);
    let reason = "suspected mule account, police informed";
    let body = json!({"filter": {"tasks": [task.id]}, "reason": reason});
    let done: Value = ok(app.post("/dead-letters/discard", OPERATOR, &body)).await;
    assert_eq!(done["done"], 1);
    let read = async |path: &str, token: &str| {
        let response = app.get(path, token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    let id = task.id;
    let of_task = format!("/tasks/{id}/events?from=0");
    for path in [
        format!("/tasks/{id}"),
        format!("/tasks/{id}?wait=1s"),
        format!("/tasks/{id}/attempts"),
        format!("/tasks/{id}/events"),
        of_task.clone(),
        format!("/replacements/{id}"),
        "/replacements".to_owned(),
    ] {
        let told = read(&path, &token).await;
        assert!(told.contains("issuer-unavailable"), "{path}: the code is told");
        for hidden in ["mule", "discarded", "HTTP 503"] {
            assert!(!told.contains(hidden), "{path}: {told}");
        }
    }
    let mut all = crate::stream::EventStream::open(app.get("/events?from=0&final=true", &token)).await;
    let told = all.state().await.unwrap();
    assert!(told.data.contains("issuer-unavailable") && !told.data.contains("503"), "{}", told.data);
    assert!(read(&format!("/tasks/{id}"), OPERATOR).await.contains(reason));
    assert!(read(&format!("/tasks/{id}/attempts"), OPERATOR).await.contains("503"));
}
