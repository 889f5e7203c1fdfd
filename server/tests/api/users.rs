use card_core::problem::Code;
use reqwest::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, ok, problem, problem_of};

#[tokio::test]
async fn a_registered_user_can_sign_in_in_any_letter_case() {
    let app = TestApp::without_workers().await;
    let user = app.register("Ada.Lovelace").await;
    assert!(user["id"].as_str().unwrap().starts_with("usr_"));
    assert_eq!(user["username"], "Ada.Lovelace");
    assert_eq!(user.as_object().unwrap().len(), 3, "{user}");
    assert_eq!(app.sign_in("ada.lovelace", crate::app::PASSWORD).await.status(), 200);
}

#[tokio::test]
async fn a_name_is_taken_whatever_its_letter_case() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let again = app
        .request(Method::POST, "/users")
        .json(&json!({"username": "ADA", "password": "another zebra paints clouds"}));
    assert_eq!(problem(again).await.code, Code::UsernameTaken);
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_pointed_at() {
    let app = TestApp::without_workers().await;
    for (body, pointers) in [
        (json!({"username": "a", "password": "short"}), &["/username", "/password"][..]),
        (json!({"username": "a b c", "password": "long enough"}), &["/username"]),
        (json!({"username": "a".repeat(65), "password": "long enough"}), &["/username"]),
        (json!({"username": "ada", "password": "x".repeat(129)}), &["/password"]),
        (json!({"username": "ada", "password": "long enough", "admin": true}), &["/admin"]),
        (json!({"username": 1, "password": "long enough"}), &["/username"]),
        (json!({"username": "ada"}), &[""]),
    ] {
        let problem = problem(app.request(Method::POST, "/users").json(&body)).await;
        assert_eq!(problem.code, Code::ValidationFailed);
        let found: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(found, pointers, "{body}");
    }
}

#[tokio::test]
async fn a_password_that_is_easy_to_guess_is_refused() {
    let app = TestApp::without_workers().await;
    for (username, password) in [
        ("ada", "iloveyou1"),
        ("ada", "Password1!"),
        ("ada", "12345678"),
        ("ada", "Summer2024!"),
        ("ada.lovelace", "Ada.Lovelace1"),
    ] {
        let body = json!({"username": username, "password": password});
        let problem = problem(app.request(Method::POST, "/users").json(&body)).await;
        assert_eq!(problem.code, Code::WeakPassword, "{password}");
        assert!(!problem.detail.contains(password), "{}", problem.detail);
    }
    app.register("ada").await;
}

const NEW: &str = "seven yellow tractors whisper";

#[tokio::test]
async fn a_password_is_changed_with_the_old_one_and_other_sessions_end() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let (other, other_refresh) = app.session("ada").await;
    let (access, refresh) = app.session("ada").await;
    let change = |current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        app.request(Method::PUT, "/users/me/password").bearer_auth(&access).json(&body)
    };
    assert_eq!(problem(change("wrong password", NEW)).await.code, Code::WrongPassword);
    assert_eq!(problem(change(PASSWORD, "password123")).await.code, Code::WeakPassword);
    assert_eq!(problem(change(PASSWORD, "ada")).await.code, Code::ValidationFailed);
    let _: serde_json::Value = ok(app.get("/cards", &other)).await;
    assert_eq!(change(PASSWORD, NEW).send().await.unwrap().status(), 204);
    let _: serde_json::Value = ok(app.get("/cards", &access)).await;
    assert_eq!(problem(app.get("/cards", &other)).await.code, Code::Unauthorized);
    let refreshed = |token: &str| app.request(Method::POST, "/sessions/refresh").bearer_auth(token);
    assert_eq!(problem(refreshed(&other_refresh)).await.code, Code::Unauthorized);
    let _: serde_json::Value = ok(refreshed(&refresh)).await;
    assert_eq!(problem_of(app.sign_in("ada", PASSWORD).await).await.code, Code::InvalidCredentials);
    assert_eq!(app.sign_in("ada", NEW).await.status(), 200);
    let made = app.user("r").await;
    let body = json!({"current": PASSWORD, "new": NEW});
    let none = app.request(Method::PUT, "/users/me/password").bearer_auth(made).json(&body);
    assert_eq!(problem(none).await.code, Code::WrongPassword, "a generated user has none");
}

#[tokio::test]
async fn a_stolen_token_is_no_way_around_the_budget_of_guesses() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let (access, _) = app.session("ada").await;
    let mut codes = Vec::new();
    for _ in 0..6 {
        let body = json!({"current": "a guess at it", "new": NEW});
        let change = app.request(Method::PUT, "/users/me/password").bearer_auth(&access).json(&body);
        codes.push(problem(change).await.code);
    }
    assert_eq!(codes, [&[Code::WrongPassword; 5][..], &[Code::TooManyAttempts]].concat());
}

#[tokio::test]
async fn who_leaves_may_give_the_password_and_then_it_must_be_right() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let (access, _) = app.session("ada").await;
    let leave = |password: &str| app.delete("/users/me", &access).json(&json!({"password": password}));
    assert_eq!(problem(leave("wrong password")).await.code, Code::WrongPassword);
    let unknown = app.delete("/users/me", &access).json(&json!({"pasword": PASSWORD}));
    assert_eq!(problem(unknown).await.code, Code::ValidationFailed);
    let _: serde_json::Value = ok(app.get("/cards", &access)).await;
    assert_eq!(leave(PASSWORD).send().await.unwrap().status(), 204);
    assert_eq!(problem(app.get("/cards", &access)).await.code, Code::Unauthorized);
}

#[tokio::test]
async fn a_deleted_users_tokens_stop_working_at_once() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let tokens: serde_json::Value = app.sign_in("ada", crate::app::PASSWORD).await.json().await.unwrap();
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let _: serde_json::Value = ok(app.get("/cards", access)).await;
    assert_eq!(app.delete("/users/me", access).send().await.unwrap().status(), 204);
    assert_eq!(problem(app.get("/cards", access)).await.code, Code::Unauthorized);
    assert_eq!(
        problem(app.request(Method::POST, "/sessions/refresh").bearer_auth(refresh)).await.code,
        Code::Unauthorized
    );
    assert_eq!(problem_of(app.sign_in("ada", crate::app::PASSWORD).await).await.code, Code::InvalidCredentials);
}
