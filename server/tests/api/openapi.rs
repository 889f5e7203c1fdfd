use reqwest::Method;
use serde_json::Value;

use crate::app::{OPERATOR, TestApp, ok};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];

/// What the contract promises, whatever the document says.
const CONTRACT: [(&str, &str); 38] = [
    ("post", "/api/v1/users"),
    ("delete", "/api/v1/users/me"),
    ("put", "/api/v1/users/me/password"),
    ("post", "/api/v1/sessions"),
    ("get", "/api/v1/sessions"),
    ("delete", "/api/v1/sessions"),
    ("delete", "/api/v1/sessions/{id}"),
    ("post", "/api/v1/sessions/refresh"),
    ("post", "/api/v1/replacements"),
    ("get", "/api/v1/replacements"),
    ("get", "/api/v1/replacements/{task}"),
    ("post", "/api/v1/purchases"),
    ("get", "/api/v1/purchases"),
    ("get", "/api/v1/purchases/summary"),
    ("get", "/api/v1/purchases/{id}"),
    ("get", "/api/v1/cards"),
    ("post", "/api/v1/tasks"),
    ("get", "/api/v1/tasks"),
    ("get", "/api/v1/tasks/{id}"),
    ("get", "/api/v1/tasks/{id}/events"),
    ("get", "/api/v1/tasks/{id}/attempts"),
    ("post", "/api/v1/tasks/{id}/retry"),
    ("post", "/api/v1/tasks/{id}/cancel"),
    ("get", "/api/v1/events"),
    ("get", "/api/v1/dead-letters"),
    ("get", "/api/v1/dead-letters/groups"),
    ("post", "/api/v1/dead-letters/retry"),
    ("post", "/api/v1/dead-letters/discard"),
    ("get", "/api/v1/stats"),
    ("post", "/api/v1/queue/pause"),
    ("post", "/api/v1/queue/resume"),
    ("post", "/api/v1/synthetic-users"),
    ("delete", "/api/v1/synthetic-users"),
    ("get", "/api/v1/effects"),
    ("get", "/scaling"),
    ("get", "/health"),
    ("get", "/ready"),
    ("get", "/metrics"),
];

async fn document(app: &TestApp) -> Value {
    ok(app.client.get(app.url("/openapi.json"))).await
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let app = TestApp::without_workers().await;
    let document = document(&app).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let name = method.as_str().to_ascii_lowercase();
            let concrete = path.replace("{id}", "tsk_x").replace("{task}", "tsk_x");
            let response = app.client.request(method, app.url(&concrete)).send().await.unwrap();
            let exists = response.status() != 405;
            assert_eq!(exists, item.get(&name).is_some(), "{name} {path}");
            if exists {
                documented.push((name, path.clone()));
            }
        }
    }
    for (method, path) in CONTRACT {
        assert!(documented.contains(&(method.to_owned(), path.to_owned())), "{method} {path}");
    }
    assert_eq!(documented.len(), CONTRACT.len() + 1, "the document describes itself, too");
}

#[tokio::test]
async fn every_operation_documents_what_it_answers() {
    let app = TestApp::without_workers().await;
    let document = document(&app).await;
    let token = app.user("u").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let url = app.url(&path.replace("{id}", "tsk_x").replace("{task}", "tsk_x"));
            let requests = [
                app.client.request(method.clone(), &url),
                app.client.request(method.clone(), &url).bearer_auth("wrong"),
                app.client.request(method.clone(), &url).bearer_auth(&token),
                app.client.request(method.clone(), &url).bearer_auth(OPERATOR),
                app.client.request(method.clone(), &url).bearer_auth(&token).query(&[("nothing", "here")]),
                app.client
                    .request(method.clone(), &url)
                    .bearer_auth(OPERATOR)
                    .header("content-type", "application/json")
                    .body("{"),
                app.client
                    .request(method.clone(), &url)
                    .bearer_auth(OPERATOR)
                    .header("content-type", "application/json")
                    .body("{}"),
                app.client
                    .request(method.clone(), &url)
                    .bearer_auth(OPERATOR)
                    .header("content-type", "text/plain")
                    .body("x"),
                app.client.request(method.clone(), &url).bearer_auth(OPERATOR).header("x", "y".repeat(20_000)),
            ];
            for request in requests {
                // A user that deletes itself would change what the others see.
                if path == "/api/v1/users/me" {
                    continue;
                }
                let asked_for_nothing =
                    request.try_clone().unwrap().build().unwrap().url().query() == Some("nothing=here");
                let response = request.send().await.unwrap();
                let status = response.status().as_u16().to_string();
                if asked_for_nothing {
                    assert_eq!(status, "422", "{method} {path} takes a parameter that it does not know");
                }
                let documented = &operation["responses"][&status];
                assert!(documented.is_object(), "{method} {path} answers {status}");
                if status.starts_with(['4', '5']) && path != "/ready" {
                    let content = documented["content"]["application/problem+json"]["schema"]["$ref"].as_str();
                    assert_eq!(content, Some("#/components/schemas/Problem"), "{method} {path} {status}");
                }
            }
            assert!(
                operation["operationId"].is_string()
                    && operation["description"].as_str().or(operation["summary"].as_str()).is_some()
            );
        }
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some(target) if name == "$ref" => into.push(target.to_owned()),
                _ => references(value, into),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, into)),
            _ => {}
        }
    }
    let app = TestApp::without_workers().await;
    let document = document(&app).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
    let mut ids: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "operation ids are unique");
}
