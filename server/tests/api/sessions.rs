use std::time::{Duration, Instant};

use card_core::problem::Code;
use reqwest::Method;
use serde_json::Value;

use crate::app::{OPERATOR, PASSWORD, TestApp, eventually, ok, problem, problem_of, without_budgets};
use crate::stream::EventStream;

async fn tokens(app: &TestApp) -> (String, String) {
    let tokens: Value = app.sign_in("ada", PASSWORD).await.json().await.unwrap();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&"Bearer".into(), &900.into()));
    pair(&tokens)
}

fn pair(tokens: &Value) -> (String, String) {
    (tokens["access_token"].as_str().unwrap().to_owned(), tokens["refresh_token"].as_str().unwrap().to_owned())
}

fn refresh(app: &TestApp, token: &str) -> reqwest::RequestBuilder {
    app.request(Method::POST, "/sessions/refresh").bearer_auth(token)
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let wrong = problem_of(app.sign_in("ada", "wrong password").await).await;
    let unknown = problem_of(app.sign_in("eve", "wrong password").await).await;
    assert_eq!(wrong.code, Code::InvalidCredentials);
    assert_eq!((wrong.code, wrong.detail), (unknown.code, unknown.detail));
}

#[tokio::test]
async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let app = TestApp::with(0, without_budgets).await;
    app.register("ada").await;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..15 {
        for (name, times) in ["ada", "eve"].into_iter().zip(&mut times) {
            let begin = Instant::now();
            app.sign_in(name, "wrong password").await;
            times.push(begin.elapsed());
        }
    }
    let median = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    let ratio = median[0] / median[1];
    assert!((0.5..2.0).contains(&ratio), "{median:?}");
}

#[tokio::test]
async fn the_sixth_failure_in_a_minute_is_refused_for_that_name_alone() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    for _ in 0..5 {
        assert_eq!(app.sign_in("ada", "wrong password").await.status(), 401);
    }
    let refused = app.sign_in("Ada", PASSWORD).await;
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(problem_of(refused).await.code, Code::TooManyAttempts);
    assert_eq!(app.sign_in("bob", "wrong password").await.status(), 401);
}

#[tokio::test]
async fn many_at_once_are_no_way_around_the_limit() {
    let app = TestApp::without_workers().await;
    let all = futures::future::join_all((0..30).map(|_| app.sign_in("eve", "wrong password"))).await;
    assert_eq!(all.iter().filter(|response| response.status() == 401).count(), 5);
}

/// Behind a proxy on this machine, that names its clients.
async fn behind_a_proxy(change: impl FnOnce(&mut card_core::settings::Settings)) -> TestApp {
    TestApp::with(0, |settings| {
        settings.server.trusted_proxies = "127.0.0.1".parse().unwrap();
        change(settings);
    })
    .await
}

#[tokio::test]
async fn one_password_at_many_names_from_one_address_has_an_end() {
    let app = TestApp::without_workers().await;
    let mut tried = 0;
    for number in 0..60 {
        let response = app.sign_in(&format!("name-{number}"), "Winter2025!").await;
        tried += u32::from(response.status() == 401);
        assert!(matches!(response.status().as_u16(), 401 | 429));
    }
    assert_eq!(tried, 30);
}

#[tokio::test]
async fn ten_addresses_have_no_more_guesses_at_one_account_than_its_budget() {
    let app = behind_a_proxy(|_| {}).await;
    app.register("ada").await;
    assert_eq!(app.sign_in_from("198.51.100.1", "ada", PASSWORD).await.status(), 200);
    let mut tried = 0;
    for address in 1..=10 {
        for _ in 0..5 {
            let response = app.sign_in_from(&format!("192.0.2.{address}"), "Ada", "wrong password").await;
            tried += u32::from(response.status() == 401);
        }
    }
    assert_eq!(tried, 10);
    assert_eq!(app.sign_in_from("192.0.2.200", "ada", PASSWORD).await.status(), 429, "also from a new one");
    // The owner is not locked out where she has signed in before.
    for _ in 0..3 {
        assert_eq!(app.sign_in_from("198.51.100.1", "ada", PASSWORD).await.status(), 200);
    }
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_do_not_share_a_budget_and_can_not_choose_one() {
    let app = behind_a_proxy(|_| {}).await;
    app.register("ada").await;
    for number in 0..10 {
        // What a client claims stands before what the proxy has seen.
        let claimed = format!("10.0.0.{number}, 192.0.2.1");
        app.sign_in_from(&claimed, "ada", "wrong password").await;
    }
    assert_eq!(app.sign_in_from("192.0.2.1", "ada", PASSWORD).await.status(), 429);
    assert_eq!(app.sign_in_from("192.0.2.2", "ada", PASSWORD).await.status(), 200);
    let mut tried = 0;
    for number in 0..10 {
        let address = format!("2001:db8:0:7:{number}::1");
        tried += u32::from(app.sign_in_from(&address, "eve", "wrong password").await.status() == 401);
    }
    assert_eq!(tried, 5, "an IPv6 client has one budget for its /64");
}

#[tokio::test]
async fn what_a_stranger_says_of_its_address_is_not_believed() {
    let app = TestApp::without_workers().await;
    let mut tried = 0;
    for number in 0..10 {
        tried += u32::from(app.sign_in_from(&format!("192.0.2.{number}"), "eve", "wrong").await.status() == 401);
    }
    assert_eq!(tried, 5);
}

#[tokio::test]
async fn a_flood_from_one_client_does_not_close_sign_in_and_registration_for_others() {
    let app = behind_a_proxy(without_budgets).await;
    for number in 0..5 {
        app.register(&format!("ada-{number}")).await;
    }
    let stop = tokio_util::sync::CancellationToken::new();
    let flood = futures::future::join_all((0..100).map(|number| {
        let (app, stop) = (&app, &stop);
        async move {
            let (mut sent, mut refused) = (0, 0);
            while !stop.is_cancelled() {
                let name = format!("nobody-{number}-{sent}");
                refused += u32::from(app.sign_in_from("192.0.2.66", &name, "wrong password").await.status() == 503);
                sent += 1;
            }
            (sent, refused)
        }
    }));
    let real = async {
        let mut statuses = Vec::new();
        for number in 0..20 {
            let name = format!("ada-{}", number % 5);
            statuses.push(app.sign_in_from("198.51.100.1", &name, PASSWORD).await.status().as_u16());
        }
        let body = serde_json::json!({"username": "somebody-new", "password": PASSWORD});
        let request = app.request(Method::POST, "/users").header("x-forwarded-for", "198.51.100.2").json(&body);
        statuses.push(request.send().await.unwrap().status().as_u16());
        stop.cancel();
        statuses
    };
    let (flood, statuses) = futures::future::join(flood, real).await;
    assert_eq!(statuses, [&[200; 20][..], &[201]].concat());
    assert!(flood.iter().map(|(_, refused)| refused).sum::<u32>() > 0, "more than a share was refused");
}

#[tokio::test]
async fn a_name_that_nobody_can_have_is_refused_as_such() {
    let app = TestApp::without_workers().await;
    app.register("kevin").await;
    for name in ["kev\0in", "\u{212a}evin", "", "ke vin", &"k".repeat(65)] {
        let problem = problem_of(app.sign_in(name, PASSWORD).await).await;
        assert_eq!(
            (problem.code, problem.errors[0].pointer.as_str()),
            (Code::ValidationFailed, "/username"),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn a_refresh_token_works_once_and_reuse_revokes_the_family() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let (_, first) = tokens(&app).await;
    let (access, second) = pair(&ok(refresh(&app, &first)).await);
    let _: Value = ok(app.get("/cards", &access)).await;
    assert_eq!(problem(refresh(&app, &first)).await.code, Code::Unauthorized);
    assert_eq!(problem(refresh(&app, &second)).await.code, Code::Unauthorized, "the thief's copy is revoked too");
    let (_, other) = tokens(&app).await;
    let _: Value = ok(refresh(&app, &other)).await;
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_works() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let (_, token) = tokens(&app).await;
    let both = futures::future::join_all((0..2).map(|_| refresh(&app, &token).send())).await;
    let good = both.into_iter().filter(|response| response.as_ref().unwrap().status() == 200).count();
    assert_eq!(good, 1);
}

#[tokio::test]
async fn signing_out_revokes_the_refresh_token() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    for by_refresh in [false, true] {
        let (access, token) = tokens(&app).await;
        let by = if by_refresh { &token } else { &access };
        assert_eq!(app.delete("/sessions", by).send().await.unwrap().status(), 204);
        assert_eq!(problem(refresh(&app, &token)).await.code, Code::Unauthorized);
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let (access, _) = tokens(&app).await;
    for token in [access.as_str(), OPERATOR, "rt_", "rt_x", "x"] {
        assert_eq!(problem(refresh(&app, token)).await.code, Code::Unauthorized);
    }
    assert_eq!(problem(app.request(Method::POST, "/sessions/refresh")).await.code, Code::Unauthorized);
}

#[tokio::test]
async fn an_access_token_expires() {
    let app = TestApp::with(0, |settings| settings.auth.access_lifetime = Duration::from_secs(1)).await;
    app.register("ada").await;
    let (access, _) = {
        let tokens: Value = app.sign_in("ada", PASSWORD).await.json().await.unwrap();
        pair(&tokens)
    };
    crate::app::eventually("the token expires", async || {
        (app.get("/cards", &access).send().await.unwrap().status() == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_access_token_ends_with_its_session() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    for by_refresh in [false, true] {
        let (access, token) = app.session("ada").await;
        let _: Value = ok(app.get("/cards", &access)).await;
        let by = if by_refresh { &token } else { &access };
        assert_eq!(app.delete("/sessions", by).send().await.unwrap().status(), 204);
        assert_eq!(problem(app.get("/cards", &access)).await.code, Code::Unauthorized);
    }
    let made = app.user("r").await;
    assert_eq!(app.delete("/sessions", &made).send().await.unwrap().status(), 204);
    assert_eq!(problem(app.get("/cards", &made)).await.code, Code::Unauthorized, "of a generated user too");
}

#[tokio::test]
async fn a_session_has_an_end_that_no_refresh_puts_off() {
    let app = TestApp::with(0, |settings| settings.auth.session_lifetime = Duration::from_secs(2)).await;
    app.register("ada").await;
    let (mut access, mut token) = app.session("ada").await;
    let mut refreshed = 0;
    let refused = eventually("the session is over", async || {
        let response = refresh(&app, &token).send().await.unwrap();
        if response.status() != 200 {
            return Some(problem_of(response).await);
        }
        (access, token) = pair(&response.json().await.unwrap());
        refreshed += 1;
        None
    })
    .await;
    assert_eq!(refused.code, Code::Unauthorized);
    assert!(refreshed > 0, "until then it could be refreshed");
    assert_eq!(problem(app.get("/cards", &access)).await.code, Code::Unauthorized);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let body = serde_json::json!({"username": "ada", "password": PASSWORD});
    let phone = app.request(Method::POST, "/sessions").header("user-agent", "phone/1 (x)").json(&body);
    let (phone, phone_refresh) = pair(&ok(phone).await);
    let (access, _) = app.session("ada").await;
    let listed: Value = ok(app.get("/sessions", &access)).await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let current: Vec<_> = items.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1);
    let other = items.iter().find(|session| session["current"] == false).unwrap();
    assert_eq!((&other["address"], &other["agent"]), (&"127.0.0.1".into(), &"phone/1 (x)".into()));
    assert_eq!(other.as_object().unwrap().len(), 6, "{other}");
    let id = other["id"].as_str().unwrap();
    app.register("eve").await;
    let (eve, _) = app.session("eve").await;
    assert_eq!(problem(app.delete(&format!("/sessions/{id}"), &eve)).await.code, Code::NotFound);
    let _: Value = ok(app.get("/cards", &phone)).await;
    assert_eq!(app.delete(&format!("/sessions/{id}"), &access).send().await.unwrap().status(), 204);
    assert_eq!(problem(app.get("/cards", &phone)).await.code, Code::Unauthorized);
    assert_eq!(problem(refresh(&app, &phone_refresh)).await.code, Code::Unauthorized);
    for id in [id, "ses_x", "x"] {
        assert_eq!(problem(app.delete(&format!("/sessions/{id}"), &access)).await.code, Code::NotFound);
    }
    let left: Value = ok(app.get("/sessions", &access)).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

/// A stream and a long-poll of a new session of ada's.
async fn watching(app: &TestApp) -> (String, EventStream, tokio::task::JoinHandle<reqwest::Response>) {
    let (access, _) = app.session("ada").await;
    let mut stream = EventStream::open(app.get("/events", &access)).await;
    assert_eq!(stream.next().await.unwrap().kind, "hello");
    let task = app.add(&access, "r").await.id;
    assert!(stream.state().await.is_some());
    let poll = tokio::spawn(app.get(&format!("/tasks/{task}?wait=60s"), &access).send());
    let poll = tokio::spawn(async move { poll.await.unwrap().unwrap() });
    (access, stream, poll)
}

#[tokio::test]
async fn streams_and_long_polls_end_with_their_session() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    for ended_by in ["/sessions", "/users/me"] {
        let (access, mut stream, poll) = watching(&app).await;
        assert_eq!(app.delete(ended_by, &access).send().await.unwrap().status(), 204);
        assert_eq!(stream.next().await, None, "{ended_by}");
        // It may have come after the end of the session, and is refused then as well.
        assert_eq!(problem_of(poll.await.unwrap()).await.code, Code::Unauthorized, "{ended_by}");
    }
}

#[tokio::test]
async fn streams_and_long_polls_end_with_their_token() {
    let app = TestApp::with(0, |settings| settings.auth.access_lifetime = Duration::from_secs(3)).await;
    app.register("ada").await;
    let (access, mut stream, poll) = watching(&app).await;
    assert_eq!(stream.next().await, None);
    assert_eq!(problem_of(poll.await.unwrap()).await.code, Code::Unauthorized);
    assert_eq!(problem(app.get("/events", &access)).await.code, Code::Unauthorized);
}

#[tokio::test]
async fn hashing_does_not_hold_up_other_requests() {
    let app = TestApp::with(0, without_budgets).await;
    let token = app.user("r").await;
    let logins = futures::future::join_all((0..40).map(|n| {
        let app = &app;
        async move { app.sign_in(&format!("user-{n}"), "wrong password").await }
    }));
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let begin = Instant::now();
            let _: Value = ok(app.get("/cards", &token)).await;
            slowest = slowest.max(begin.elapsed());
        }
        slowest
    };
    let begin = Instant::now();
    let (logins, slowest) = futures::future::join(logins, others).await;
    assert!(logins.iter().all(|response| matches!(response.status().as_u16(), 401 | 503)));
    assert!(slowest < begin.elapsed() / 2, "{slowest:?} of {:?}", begin.elapsed());
}
