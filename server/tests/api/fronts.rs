//! The predecessors' surfaces, as their own clients and scripts use them: with the shapes, statuses and habits that those have.

use card_core::fronts::Front;
use card_core::tasks::Task;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::app::{OPERATOR, TestApp, eventually, ok};

impl TestApp {
    fn old(&self, front: Front, method: Method, path: &str) -> RequestBuilder {
        let address = self.platform.front_addresses().iter().find(|(one, _)| *one == front).unwrap().1;
        self.client.request(method, format!("http://{address}{path}"))
    }
}

/// Status and JSON of an answer.
async fn said(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {text}: {error}")))
}

async fn cards() -> TestApp {
    TestApp::with_fronts(1, &[Front::CardReplacer], |_| {}).await
}

fn call(app: &TestApp, method: Method, path: &str) -> RequestBuilder {
    app.old(Front::CardReplacer, method, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_card_replacer_goes_its_whole_way_twice() {
    let app = cards().await;
    for (name, password) in [("user1", "password1"), ("名前 @#$%^&*()", "x"), (" \u{200f}<script>", "12345678")] {
        let who = json!({"username": name, "password": password});
        let (status, registered) = said(call(&app, Method::POST, "/register").json(&who)).await;
        assert_eq!((status, registered["msg"].is_string()), (201, true));
        let (status, taken) = said(call(&app, Method::POST, "/register").json(&who)).await;
        assert_eq!((status, taken["msg"].is_string()), (400, true));

        let (status, wrong) =
            said(call(&app, Method::POST, "/login").json(&json!({"username": name, "password": "wrong"}))).await;
        assert_eq!((status, wrong["msg"].is_string()), (401, true));
        let (status, tokens) = said(call(&app, Method::POST, "/login").json(&who)).await;
        assert_eq!(status, 200);
        let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());

        let (status, asked) = said(call(&app, Method::POST, "/request_card").bearer_auth(access)).await;
        assert_eq!(status, 201, "{asked}");
        let task = asked["task_id"].as_str().unwrap().to_owned();
        let done = eventually("the card is there", async || {
            let (status, found) = said(call(&app, Method::GET, &format!("/tasks/{task}"))).await;
            assert_eq!((status, &found["task_id"]), (200, &json!(task)));
            (found["status"] != "PENDING").then_some(found)
        })
        .await;
        assert_eq!(
            (&done["status"], &done["result"]),
            (&json!("SUCCESS"), &json!("Card request processed successfully"))
        );
        let (status, requests) = said(call(&app, Method::GET, "/card_requests").bearer_auth(access)).await;
        let request = &requests.as_array().unwrap()[0];
        assert_eq!((status, requests.as_array().unwrap().len(), &request["status"]), (200, 1, &json!("processed")));
        assert!(request["id"].is_i64() && request["created_at"].as_str().unwrap().ends_with(" GMT"), "{request}");

        // The same refresh token goes on working, and what it gives works.
        for _ in 0..2 {
            let (status, fresh) = said(call(&app, Method::POST, "/refresh").bearer_auth(refresh)).await;
            assert_eq!(status, 200, "{fresh}");
            let fresh = fresh["access_token"].as_str().unwrap();
            assert_eq!(said(call(&app, Method::GET, "/card_requests").bearer_auth(fresh)).await.0, 200);
        }
        assert_eq!(said(call(&app, Method::POST, "/refresh").bearer_auth(access)).await.0, 422);

        let (status, gone) = said(call(&app, Method::DELETE, "/delete_user").bearer_auth(access)).await;
        assert_eq!((status, gone["msg"].is_string()), (200, true));
        assert_eq!(said(call(&app, Method::DELETE, "/delete_user").bearer_auth(access)).await.0, 404);
        assert_eq!(said(call(&app, Method::POST, "/refresh").bearer_auth(refresh)).await.0, 401);
        assert_eq!(said(call(&app, Method::POST, "/register").json(&who)).await.0, 201, "the name is free");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_card_replacer_answers_mistakes_as_its_predecessor_did() {
    let app = TestApp::with_fronts(0, &[Front::CardReplacer], |_| {}).await;
    for body in [
        json!({"username": "a"}),
        json!({"password": "a"}),
        json!({"username": "", "password": "a"}),
        json!({"username": "a", "password": ""}),
        json!({}),
        json!([]),
        json!({"username": "x".repeat(81), "password": "a"}),
    ] {
        for path in ["/register", "/login"] {
            let (status, said) = said(call(&app, Method::POST, path).json(&body)).await;
            assert_eq!((status, said["msg"].is_string()), (400, true), "{path} {body} {said}");
        }
    }
    for path in ["/card_requests", "/delete_user", "/request_card"] {
        let method = match path {
            "/card_requests" => Method::GET,
            "/delete_user" => Method::DELETE,
            _ => Method::POST,
        };
        let (status, none) = said(call(&app, method.clone(), path)).await;
        assert_eq!((status, none["msg"].is_string()), (401, true), "{path}");
        for odd in ["x", "a.b.c", OPERATOR] {
            let (status, odd) = said(call(&app, method.clone(), path).bearer_auth(odd)).await;
            assert_eq!((status, odd["msg"].is_string()), (422, true), "{path}");
        }
    }
    // One that is open, and no reason to wait for the other.
    let who = json!({"username": "u", "password": "p"});
    said(call(&app, Method::POST, "/register").json(&who)).await;
    let (_, tokens) = said(call(&app, Method::POST, "/login").json(&who)).await;
    let access = tokens["access_token"].as_str().unwrap();
    let (_, first) = said(call(&app, Method::POST, "/request_card").bearer_auth(access)).await;
    let (status, open) = said(call(&app, Method::POST, "/request_card").bearer_auth(access)).await;
    assert_eq!((status, open["msg"].is_string()), (400, true));
    let (_, requests) = said(call(&app, Method::GET, "/card_requests").bearer_auth(access)).await;
    assert_eq!(requests[0]["status"], "pending");
    // A state that is none of theirs would keep their clients waiting for ever.
    let id = first["task_id"].as_str().unwrap();
    let cancelled: Task = ok(app.post(&format!("/tasks/{id}/cancel"), OPERATOR, &json!({"reason": "a test"}))).await;
    assert_eq!(said(call(&app, Method::GET, &format!("/tasks/{}", cancelled.id))).await.1["status"], "REVOKED");
    for unknown in ["tsk_00000000000000000000000000", "x", "%25"] {
        let (status, pending) = said(call(&app, Method::GET, &format!("/tasks/{unknown}"))).await;
        assert_eq!((status, &pending["status"], &pending["result"]), (200, &json!("PENDING"), &Value::Null));
    }
    assert_eq!(said(call(&app, Method::GET, "/")).await.0, 404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sum_needs_no_token_and_others_tasks_are_not_told() {
    let app = cards().await;
    let (status, asked) = said(call(&app, Method::POST, "/add").json(&json!({"x": 10, "y": 6}))).await;
    assert_eq!(status, 202);
    let id = asked["task_id"].as_str().unwrap().to_owned();
    let sum = eventually("the sum is there", async || {
        let (_, found) = said(call(&app, Method::GET, &format!("/tasks/{id}"))).await;
        (found["status"] == "SUCCESS").then(|| found["result"].clone())
    })
    .await;
    assert_eq!(sum, json!(16));
    let (status, said_no) = said(call(&app, Method::POST, "/add").json(&json!({"x": "ten", "y": 6}))).await;
    assert_eq!((status, said_no["msg"].is_string()), (400, true));
    let overflow = json!({"x": i64::MAX, "y": 1});
    let (_, asked) = said(call(&app, Method::POST, "/add").json(&overflow)).await;
    let id = asked["task_id"].as_str().unwrap().to_owned();
    eventually("it fails", async || {
        let (_, found) = said(call(&app, Method::GET, &format!("/tasks/{id}"))).await;
        (found["status"] == "FAILURE").then_some(())
    })
    .await;
    let token = app.user("theirs").await;
    let task = app.add(&token, "theirs").await;
    app.finished(task.id).await;
    assert_eq!(said(call(&app, Method::GET, &format!("/tasks/{}", task.id))).await.1["status"], "PENDING");
    let task: Task = ok(app.post("/purchases", &token, &json!({"price": "1"}))).await;
    app.finished(task.id).await;
    assert_eq!(said(call(&app, Method::GET, &format!("/tasks/{}", task.id))).await.1["status"], "PENDING");
    app.stop().await;
}

async fn shop() -> TestApp {
    TestApp::with_fronts(1, &[Front::Shop, Front::ShopManagement, Front::BuyList, Front::BuyListManagement], |_| {})
        .await
}

async fn rows(app: &TestApp, front: Front, path: &str, count: usize) -> Vec<Value> {
    eventually("the history has them", async || {
        let (status, rows) = said(app.old(front, Method::GET, path)).await;
        assert_eq!(status, 200, "{rows}");
        Some(rows.as_array().unwrap().clone()).filter(|rows| rows.len() >= count)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_shop_buys_and_reads_on_both_ports() {
    let app = shop().await;
    let buy = |body: Value| app.old(Front::Shop, Method::POST, "/api/v1/buy").json(&body);
    let (status, said_yes) = said(buy(json!({"username": "Ada", "userid": "u1", "price": 50, "colour": "red"}))).await;
    assert_eq!((status, &said_yes["status"]), (202, &json!("success")), "{said_yes}");
    let data = &said_yes["data"];
    assert_eq!((&data["username"], &data["userid"], data["price"].as_f64()), (&json!("Ada"), &json!("u1"), Some(50.0)));
    assert!(data["timestamp"].is_f64(), "{data}");
    assert_eq!(said(buy(json!({"username": "Ada", "userid": "u1", "price": "19.99"}))).await.0, 202);
    let found = rows(&app, Front::Shop, "/api/v1/getAllUserBuys/u1", 2).await;
    assert_eq!(found, rows(&app, Front::ShopManagement, "/api/v1/purchases/u1", 2).await);
    assert_eq!((found[0]["price"].as_f64(), &found[1]), (Some(19.99), data), "newest first, as it was told");
    assert_eq!(rows(&app, Front::Shop, "/api/v1/getAllUserBuys/nobody", 0).await, Vec::<Value>::new());
    for (body, field, kind) in [
        (json!({"username": "Ada", "userid": "u1"}), "price", "missing"),
        (json!({"userid": "u1", "price": 1}), "username", "missing"),
        (json!({"username": "Ada", "userid": 7, "price": 1}), "userid", "value_error"),
        (json!({"username": "Ada", "userid": "u1", "price": "abc"}), "price", "value_error"),
        (json!({"username": "Ada", "userid": "u1", "price": -10}), "price", "value_error"),
        (json!({"username": "Ada", "userid": "u1", "price": 0}), "price", "value_error"),
        (json!({"username": "Ada", "userid": "u1", "price": 0.00001}), "price", "value_error"),
        (json!({"username": "x".repeat(1_000), "userid": "u1", "price": 1}), "username", "value_error"),
    ] {
        let (status, refused) = said(buy(body.clone())).await;
        let detail = &refused["detail"][0];
        assert_eq!((status, &detail["loc"], &detail["type"]), (422, &json!(["body", field]), &json!(kind)), "{body}");
        assert!(detail["msg"].is_string());
    }
    for body in ["{invalid json}", r#"{"username": "a", "userid": "b", "price": NaN}"#, ""] {
        let request = app.old(Front::Shop, Method::POST, "/api/v1/buy").header("content-type", "application/json");
        assert_eq!(said(request.body(body)).await.0, 422, "{body}");
    }
    assert_eq!(said(app.old(Front::Shop, Method::POST, "/api/v1/buy").body("{}")).await.0, 422, "no content type");
    assert_eq!(said(app.old(Front::Shop, Method::GET, "/-/healthy")).await, (200, json!({"status": "alive"})));
    assert_eq!(said(app.old(Front::ShopManagement, Method::GET, "/-/ready")).await.0, 200);
    let (status, nothing) = said(app.old(Front::ShopManagement, Method::POST, "/api/v1/buy").json(&json!({}))).await;
    assert_eq!((status, nothing["detail"].is_string()), (404, true));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_buy_list_buys_and_reads_on_every_path() {
    let app = shop().await;
    let (status, bought) = said(
        app.old(Front::BuyList, Method::POST, "/buy").json(&json!({"username": "Ada", "userid": "u1", "price": 99.99})),
    )
    .await;
    assert_eq!((status, bought["message"].is_string()), (201, true), "{bought}");
    let purchase = &bought["purchase"];
    let at = purchase["timestamp"].as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z') && &at[19..20] == ".", "{at}");
    assert_eq!(purchase["price"].as_f64(), Some(99.99));
    for (front, path) in [
        (Front::BuyList, "/getAllUserBuys/u1"),
        (Front::BuyList, "/api/getAllUserBuys/u1"),
        (Front::BuyListManagement, "/purchases/u1"),
    ] {
        let found = rows(&app, front, path, 1).await;
        let row = &found[0];
        assert_eq!((&row["username"], &row["userid"], &row["timestamp"]), (&json!("Ada"), &json!("u1"), &json!(at)));
        assert_eq!((&row["__v"], row["_id"].as_str().unwrap().len()), (&json!(0), 24), "{path}");
    }
    // The shop's user of the same id is somebody else.
    assert_eq!(rows(&app, Front::Shop, "/api/v1/getAllUserBuys/u1", 0).await, Vec::<Value>::new());
    // Everybody's are an operator's to see.
    let everybodys = || app.old(Front::BuyListManagement, Method::GET, "/purchases");
    let (status, refused) = said(everybodys()).await;
    assert_eq!((status, refused["error"].is_string()), (401, true));
    assert_eq!(said(everybodys().bearer_auth(app.user("not").await)).await.0, 403);
    let (status, all) = said(everybodys().bearer_auth(OPERATOR)).await;
    assert_eq!((status, &all[0]["userid"], all.as_array().unwrap().len()), (200, &json!("u1"), 1));
    app.stop().await;
}

/// What a script of its predecessor tries, with what that takes for right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_cases_of_the_buy_list_end_as_its_script_wants_them() {
    let app = shop().await;
    let post = |path: &'static str| app.old(Front::BuyList, Method::POST, path);
    let user =
        |username: &str, userid: Value, price: Value| json!({"username": username, "userid": userid, "price": price});
    for (body, statuses) in [
        (json!({"userid": "u", "price": 1}), vec![400]),
        (json!({"username": "a", "price": 1}), vec![400]),
        (json!({"username": "a", "userid": "u"}), vec![400]),
        (user("a", json!("u"), json!(-10)), vec![400]),
        (user("a", json!("u"), json!(0)), vec![400]),
        (user("a", json!("u"), json!("abc")), vec![400]),
        (user("", json!("u"), json!(1)), vec![400]),
        (user("a", json!("  "), json!(1)), vec![201, 400]),
        (user("a", json!({"$ne": null}), json!(1)), vec![400]),
        (user("<script>alert(1)</script>", json!("u"), json!(1)), vec![201]),
        (user("a", json!("u"), json!(1_000_000_000_000_u64)), vec![201]),
        (user(&"x".repeat(1_000), json!("u"), json!(1)), vec![201, 400]),
        (user("test@#$%^&*()", json!("u"), json!("12.5")), vec![201]),
        (user("用户", json!(7), json!(1)), vec![201]),
    ] {
        for path in ["/buy", "/api/buy"] {
            let (status, answer) = said(post(path).json(&body)).await;
            assert!(statuses.contains(&status), "{body} {status} {answer}");
            assert_eq!(answer["error"].is_string(), status == 400, "{answer}");
        }
    }
    for body in ["{invalid json}", r#"{"username": "a", "userid": "u", "price": 1,}"#] {
        assert_eq!(said(post("/buy").header("content-type", "application/json").body(body)).await.0, 400);
    }
    for kind in [None, Some("text/plain")] {
        let body = r#"{"username": "a", "userid": "u", "price": 1}"#;
        let request = post("/buy").body(body);
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        assert_eq!(said(request).await.0, 400, "{kind:?}");
    }
    let large = format!(r#"{{"username": "{}"}}"#, "x".repeat(70_000));
    let (status, too_large) = said(post("/buy").header("content-type", "application/json").body(large)).await;
    assert_eq!((status, too_large["error"].is_string()), (413, true));
    // Many at once and many in a row, and all are there.
    let at_once = (0..10).map(|n| said(post("/buy").json(&user("many", json!("many"), json!(n + 1)))));
    assert!(futures::future::join_all(at_once).await.iter().all(|(status, _)| *status == 201));
    for n in 0..400 {
        assert_eq!(said(post("/buy").json(&user("many", json!("many"), json!(n + 1)))).await.0, 201);
    }
    let found = rows(&app, Front::BuyList, "/getAllUserBuys/many", 410).await;
    assert_eq!((found.len(), found[0]["price"].as_f64()), (410, Some(400.0)), "more than a page, newest first");
    assert_eq!(rows(&app, Front::BuyListManagement, "/purchases/%25", 0).await, Vec::<Value>::new());
    // A page of any origin may ask.
    for request in [post("/buy").json(&json!({})), app.old(Front::BuyList, Method::GET, "/nowhere")] {
        assert_eq!(request.send().await.unwrap().headers()["access-control-allow-origin"], "*");
    }
    let preflight = app.old(Front::BuyList, Method::OPTIONS, "/buy").header("access-control-request-headers", "x");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(
        (preflight.status().as_u16(), &preflight.headers()["access-control-allow-headers"]),
        (204, &"x".parse().unwrap())
    );
    let (status, health) = said(app.old(Front::BuyListManagement, Method::GET, "/health")).await;
    assert_eq!((status, health), (200, json!({"status": "ok", "kafkaReady": true, "mongoReady": true})));
    let metrics = app.old(Front::BuyList, Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"route="buy-list/buy""#), "counted apart");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_speaks_for_its_own_user_alone() {
    let app = shop().await;
    let made: Value = ok(app.post("/synthetic-users", OPERATOR, &json!({"run": "own", "from": 0, "count": 2}))).await;
    let user =
        |n: usize| (made["users"][n]["id"].as_str().unwrap(), made["users"][n]["access_token"].as_str().unwrap());
    let ((id, token), (_, stranger)) = (user(0), user(1));
    let body = json!({"username": "Ada", "userid": id, "price": 5});
    let buy = |front, path| app.old(front, Method::POST, path).json(&body);
    assert_eq!(said(buy(Front::BuyList, "/buy").bearer_auth(token)).await.0, 201);
    let task: Task = ok(app.post("/purchases", token, &json!({"price": "7", "item": "a kettle"}))).await;
    app.finished(task.id).await;
    let path = format!("/getAllUserBuys/{id}");
    let read = || app.old(Front::BuyList, Method::GET, &path);
    let own = eventually("both are there", async || {
        let (_, rows) = said(read().bearer_auth(token)).await;
        Some(rows).filter(|rows| rows.as_array().unwrap().len() == 2)
    })
    .await;
    assert_eq!((&own[0]["username"], own[0]["price"].as_f64()), (&json!("a kettle"), Some(7.0)));
    // Neither somebody else's token nor none shows them, or adds to them.
    for refused in
        [said(read().bearer_auth(stranger)).await, said(buy(Front::Shop, "/api/v1/buy").bearer_auth(stranger)).await]
    {
        assert_eq!(refused.0, 404, "{}", refused.1);
    }
    assert_eq!(said(read()).await, (200, json!([])));
    assert_eq!(said(read().bearer_auth("nonsense")).await.0, 401);
    assert_eq!(said(buy(Front::BuyList, "/buy")).await.0, 201);
    let history: Value = ok(app.get("/purchases", token)).await;
    assert_eq!(history["items"].as_array().unwrap().len(), 2, "what nobody signed for went nowhere near");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_makes_a_purchase_of_old_repeatable() {
    let app = shop().await;
    let body = json!({"username": "Ada", "userid": "k", "price": 5});
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(
            said(app.old(Front::BuyList, Method::POST, "/buy").header("idempotency-key", "k1").json(&body)).await,
        );
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(rows(&app, Front::BuyList, "/getAllUserBuys/k", 1).await.len(), 1);
    let other = json!({"username": "Ada", "userid": "k", "price": 6});
    let (status, refused) =
        said(app.old(Front::BuyList, Method::POST, "/buy").header("idempotency-key", "k1").json(&other)).await;
    assert_eq!((status, refused["error"].is_string()), (422, true));
    app.stop().await;
}

/// Whoever says no name can neither take a key from operators, whose tasks have no owner either, nor add to a run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_keys_apart_and_no_run() {
    let fronts = [Front::CardReplacer, Front::Shop, Front::BuyList];
    let app = TestApp::with_fronts(1, &fronts, |_| {}).await;
    let sum = json!({"x": 1, "y": 2});
    let bought = json!({"username": "a", "userid": "u", "price": 1});
    for (front, path, body, status) in [
        (Front::CardReplacer, "/add", &sum, 202),
        (Front::Shop, "/api/v1/buy", &bought, 202),
        (Front::BuyList, "/buy", &bought, 201),
    ] {
        let request = app.old(front, Method::POST, path).header("idempotency-key", "k").header("x-run-id", "theirs");
        assert_eq!(said(request.json(body)).await.0, status);
    }
    let theirs = app.post("/tasks", OPERATOR, &json!({"kind": "add", "payload": sum})).header("idempotency-key", "k");
    let response = theirs.send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert!(!response.headers().contains_key("idempotency-replayed"));
    let run: Value = ok(app.get("/tasks?run=theirs", OPERATOR)).await;
    assert_eq!(run["items"], json!([]));
    app.stop().await;
}
