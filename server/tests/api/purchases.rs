use card_core::problem::Code;
use card_core::tasks::{Status, Task};
use card_kinds::purchase::{self, Purchase};
use reqwest::Response;
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, ok, problem};

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap().to_owned()
}

/// Buys, and waits until it is in the history.
async fn buy(app: &TestApp, token: &str, body: Value) -> Task {
    let task: Task = ok(app.post("/purchases", token, &body)).await;
    app.finished(task.id).await
}

#[tokio::test]
async fn a_purchase_is_accepted_recorded_once_and_shown_to_its_owner() {
    let app = TestApp::start().await;
    let token = app.user("p").await;
    let empty: Value = ok(app.get("/purchases", &token)).await;
    assert_eq!(empty, json!({"items": [], "next": null}));
    let sent = json!({"price": 12.5, "item": "Käse <b>"});
    let response = app.post("/purchases", &token, &sent).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let (location, sequence) = (header(&response, "location"), header(&response, "x-sequence"));
    assert!(sequence.parse::<u64>().unwrap() > 0);
    let task: Task = response.json().await.unwrap();
    assert_eq!((task.kind, task.status), (purchase::KIND, Status::Queued));
    assert_eq!(location, format!("/api/v1/tasks/{}", task.id));
    let settled = app.finished(task.id).await;
    assert_eq!(settled.result.unwrap().get(), r#"{"price":"12.50","item":"Käse <b>"}"#);
    let page: Value = ok(app.get("/purchases", &token)).await;
    let purchase: Purchase = serde_json::from_value(page["items"][0].clone()).unwrap();
    assert_eq!((page["items"].as_array().unwrap().len(), purchase.task), (1, task.id));
    assert_eq!((purchase.price.to_string().as_str(), purchase.item.as_deref()), ("12.50", Some("Käse <b>")));
    let one: Purchase = ok(app.get(&format!("/purchases/{}", purchase.id), &token)).await;
    assert_eq!(one, purchase);
    // Nobody else's, and the operator's.
    let other = app.user("other").await;
    assert_eq!(ok::<Value>(app.get("/purchases", &other)).await["items"], json!([]));
    assert_eq!(problem(app.get(&format!("/purchases/{}", purchase.id), &other)).await.code, Code::NotFound);
    let owner = settled.owner.unwrap();
    assert_eq!(problem(app.get(&format!("/purchases?owner={owner}"), &other)).await.code, Code::NotFound);
    let theirs: Value = ok(app.get(&format!("/purchases?owner={owner}"), OPERATOR)).await;
    assert_eq!(theirs, page);
    let all = problem(app.get("/purchases", OPERATOR)).await;
    assert_eq!((all.code, all.errors[0].pointer.as_str()), (Code::ValidationFailed, "owner"));
    assert_eq!(problem(app.post("/purchases", OPERATOR, &sent)).await.code, Code::Forbidden);
}

#[tokio::test]
async fn a_history_has_pages_times_and_an_exact_sum() {
    let app = TestApp::start().await;
    let token = app.user("p").await;
    for cents in 1..=5 {
        buy(&app, &token, json!({"price": format!("0.{cents:02}"), "item": format!("number {cents}")})).await;
    }
    let first: Value = ok(app.get("/purchases?limit=2", &token)).await;
    let cursor = first["next"].as_str().unwrap();
    let second: Value = ok(app.get(&format!("/purchases?limit=2&cursor={cursor}"), &token)).await;
    let items = |page: &Value| {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["price"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (items(&first), items(&second)),
        (vec!["0.05".into(), "0.04".into()], vec!["0.03".into(), "0.02".into()])
    );
    let third = second["items"][0]["purchased_at"].as_str().unwrap();
    let since: Value = ok(app.get(&format!("/purchases?from={third}"), &token)).await;
    assert_eq!(items(&since), ["0.05", "0.04", "0.03"]);
    let summary: Value = ok(app.get(&format!("/purchases/summary?to={third}"), &token)).await;
    assert_eq!((&summary["count"], &summary["total"]), (&json!(2), &json!("0.03")));
    let all: Value = ok(app.get("/purchases/summary", &token)).await;
    assert_eq!((&all["count"], &all["total"]), (&json!(5), &json!("0.15")));
    assert_eq!(all["last_at"], first["items"][0]["purchased_at"]);
    let none: Value = ok(app.get("/purchases/summary", &app.user("other").await)).await;
    assert_eq!(none, json!({"count": 0, "total": "0.00", "first_at": null, "last_at": null}));
}

#[tokio::test]
async fn what_is_wrong_with_a_purchase_or_a_question_is_pointed_at() {
    let app = TestApp::without_workers().await;
    let token = app.user("p").await;
    for (body, pointer) in [
        (r#"{"price": 0}"#, "/price"),
        (r#"{"price": -1}"#, "/price"),
        (r#"{"price": 1e400}"#, "/price"),
        (r#"{"price": 0.00001}"#, "/price"),
        (r#"{"price": "1,50"}"#, "/price"),
        (r#"{"price": "１２"}"#, "/price"),
        (r#"{"price": "NaN"}"#, "/price"),
        (r#"{"price": null}"#, "/price"),
        (r#"{"item": "x"}"#, ""),
        (r#"{"price": 1, "item": ""}"#, "/item"),
        (r#"{"price": 1, "item": "a\u0000b"}"#, "/item"),
        (r#"{"price": 1, "item": 3}"#, "/item"),
        (r#"{"price": 1, "owner": "me"}"#, "/owner"),
    ] {
        let request = app.request(reqwest::Method::POST, "/purchases").bearer_auth(&token);
        let problem = problem(request.header("content-type", "application/json").body(body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
    let long = json!({"price": "1", "item": "x".repeat(10_000)});
    assert_eq!(problem(app.post("/purchases", &token, &long)).await.errors[0].pointer, "/item");
    let request = app.request(reqwest::Method::POST, "/purchases").bearer_auth(&token);
    let nan = request.header("content-type", "application/json").body(r#"{"price": NaN}"#);
    assert_eq!(problem(nan).await.code, Code::MalformedJson);
    let later = "2026-01-01T00:00:00Z";
    for (query, pointer) in [
        (format!("from={later}&to=2025-01-01T00:00:00Z"), "to"),
        ("from=yesterday".to_owned(), "from"),
        ("from=24h".to_owned(), "from"),
        ("limit=0".to_owned(), "limit"),
        ("limit=201".to_owned(), "limit"),
        ("owner=x".to_owned(), "owner"),
        ("since=1".to_owned(), "since"),
    ] {
        let problem = problem(app.get(&format!("/purchases?{query}"), &token)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{query}");
    }
    assert_eq!(problem(app.get("/purchases?cursor=made-up", &token)).await.code, Code::ValidationFailed);
    for id in ["x", "tsk_0190b6a5-0000-7000-8000-000000000000", "pur_0190b6a5-0000-7000-8000-000000000000"] {
        assert_eq!(problem(app.get(&format!("/purchases/{id}"), &token)).await.code, Code::NotFound, "{id}");
    }
}

#[tokio::test]
async fn the_same_key_buys_once() {
    let app = TestApp::start().await;
    let token = app.user("p").await;
    let send = |price: &str| app.post("/purchases", &token, &json!({"price": price})).header("idempotency-key", "k");
    let ids = futures::future::join_all((0..16).map(|_| async { ok::<Task>(send("7.00")).await.id })).await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    app.finished(ids[0]).await;
    assert_eq!(problem(send("8.00")).await.code, Code::IdempotencyMismatch);
    let summary: Value = ok(app.get("/purchases/summary", &token)).await;
    assert_eq!((&summary["count"], &summary["total"]), (&json!(1), &json!("7.00")));
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let app = TestApp::start().await;
    let token = app.user("p").await;
    buy(&app, &token, json!({"price": "1"})).await;
    let other = app.user("other").await;
    for path in ["/purchases", "/purchases?limit=1", "/purchases/summary"] {
        let first = app.get(path, &token).send().await.unwrap();
        let (tag, sequence) = (header(&first, "etag"), header(&first, "x-sequence"));
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is strong");
        assert_eq!(
            (header(&first, "cache-control").as_str(), header(&first, "vary").as_str()),
            ("private, no-cache", "authorization")
        );
        let again = app.get(path, &token).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!(
            (again.status().as_u16(), header(&again, "etag"), header(&again, "x-sequence")),
            (304, tag.clone(), sequence)
        );
        assert!(again.bytes().await.unwrap().is_empty());
        // Another's history has another tag, also for the same path.
        let theirs = app.get(path, &other).header("if-none-match", &tag);
        assert_eq!(theirs.send().await.unwrap().status(), 200);
        buy(&app, &token, json!({"price": "2"})).await;
        let changed = app.get(path, &token).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!(changed.status(), 200);
        assert_ne!(header(&changed, "etag"), tag);
    }
}

#[tokio::test]
async fn a_read_is_at_least_as_new_as_it_was_asked_for_or_refused() {
    let app = TestApp::start().await;
    let token = app.user("p").await;
    let settled = buy(&app, &token, json!({"price": "1"})).await;
    let read = app.get("/purchases", &token).send().await.unwrap();
    let sequence: u64 = header(&read, "x-sequence").parse().unwrap();
    let same: Value = ok(app.get("/purchases", &token).header("x-min-sequence", sequence)).await;
    assert_eq!(same["items"][0]["task"], json!(settled.id));
    let ahead = problem(app.get("/purchases", &token).header("x-min-sequence", sequence + 1_000)).await;
    assert_eq!(ahead.code, Code::Unavailable);
    assert!(ahead.detail.contains(&(sequence + 1_000).to_string()), "{}", ahead.detail);
    // One that waits is answered as soon as the ledger is there.
    let waiting = tokio::spawn(app.get("/purchases", &token).header("x-min-sequence", sequence + 2).send());
    buy(&app, &token, json!({"price": "2"})).await;
    let answer: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    for odd in ["x", "-1", ""] {
        let problem = problem(app.get("/purchases", &token).header("x-min-sequence", odd)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, "x-min-sequence"));
    }
}

#[tokio::test]
async fn a_history_goes_when_its_owner_goes() {
    let app = TestApp::start().await;
    let user = app.register("ada").await;
    let (token, _) = app.session("ada").await;
    let recorded = buy(&app, &token, json!({"price": "1", "item": "a secret"})).await;
    let path = format!("/purchases?owner={}", user["id"].as_str().unwrap());
    assert_eq!(ok::<Value>(app.get(&path, OPERATOR)).await["items"].as_array().unwrap().len(), 1);
    let paused = app.request(reqwest::Method::POST, "/queue/pause").bearer_auth(OPERATOR).send().await.unwrap();
    assert!(paused.status().is_success());
    let open: Task = ok(app.post("/purchases", &token, &json!({"price": "2"}))).await;
    assert_eq!(app.delete("/users/me", &token).send().await.unwrap().status(), 204);
    assert_eq!(ok::<Value>(app.get(&path, OPERATOR)).await["items"], json!([]));
    let id = format!("/purchases/{}", recorded.id.to_string().replace("tsk_", "pur_"));
    assert_eq!(problem(app.get(&id, OPERATOR)).await.code, Code::NotFound);
    assert_eq!(app.finished(open.id).await.status, Status::Cancelled);
}
