use std::time::{Duration, Instant};

use card_core::problem::Code;
use reqwest::Method;
use serde_json::Value;

use crate::app::{OPERATOR, PASSWORD, TestApp, ok, problem, problem_of};

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
    let app = TestApp::with(0, |settings| settings.auth.login_failures_per_minute = 1000).await;
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
async fn hashing_does_not_hold_up_other_requests() {
    let app = TestApp::with(0, |settings| settings.auth.login_failures_per_minute = 1000).await;
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
