use card_core::problem::Code;
use reqwest::Method;
use serde_json::json;

use crate::app::{TestApp, ok, problem, problem_of};

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
    let again = app.request(Method::POST, "/users").json(&json!({"username": "ADA", "password": "another password"}));
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
