//! `shop` and `shop-management`: the web server and the management service of the old shopping system.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use card_core::problem::{Code, FieldError};
use card_kinds::purchase::Price;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Routes;
use super::purchases::{self, Anybody, Asked, Bought, Fields, Product, Row};
use crate::app::App;
use crate::http::answer::Wording;
use crate::http::json::{json as answer, ok};
use crate::problem::Refusal;

const PRODUCT: Product = Product("shop");
const BUY: &str = "/api/v1/buy";
/// A history had no more than this.
const LIMIT: usize = 100;

pub(super) fn surface() -> (Routes, Wording) {
    let routes = vec![
        (BUY, post(buy)),
        ("/api/v1/getAllUserBuys/{userid}", get(history)),
        ("/-/healthy", get(healthy)),
        ("/-/ready", get(ready)),
    ];
    (routes, Wording::own(write))
}

pub(super) fn management() -> (Routes, Wording) {
    let routes =
        vec![("/api/v1/purchases/{userid}", get(history)), ("/-/healthy", get(healthy)), ("/-/ready", get(ready))];
    (routes, Wording::own(write))
}

/// `{"detail": …}`: a text, or what is wrong with which field.
fn write(refusal: &Refusal) -> (u16, Value) {
    let fault =
        |kind: &str, place: Vec<Value>, text: &str| json!({"type": kind, "loc": place, "msg": text, "input": null});
    match refusal.code() {
        Code::ValidationFailed => {
            let errors = refusal.errors().iter().map(|FieldError { pointer, detail }| {
                let field = pointer.trim_start_matches('/');
                let kind = if detail == MISSING { "missing" } else { "value_error" };
                fault(kind, vec!["body".into(), field.into()], detail)
            });
            (422, json!({"detail": errors.collect::<Vec<_>>()}))
        }
        Code::MalformedJson | Code::UnsupportedMediaType => {
            (422, json!({"detail": [fault("json_invalid", vec!["body".into()], &refusal.in_words())]}))
        }
        code => (code.status(), json!({"detail": refusal.in_words()})),
    }
}

const MISSING: &str = "Field required";

#[derive(Serialize)]
struct Answer {
    status: &'static str,
    message: &'static str,
    data: Shown,
}

#[derive(Serialize)]
struct Shown {
    userid: String,
    username: String,
    price: Box<RawValue>,
    /// Seconds since 1970, with what is left of them behind a point.
    timestamp: Box<RawValue>,
}

impl From<Row> for Shown {
    fn from(row: Row) -> Self {
        let (price, millis) = (row.price(), row.millis());
        let timestamp = format!("{}.{:03}", millis / 1_000, millis % 1_000);
        let timestamp = RawValue::from_string(timestamp).unwrap_or_default();
        Self { userid: row.userid, username: row.username, price, timestamp }
    }
}

async fn buy(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Refusal> {
    let bought = read(&asked.fields()?)?;
    let row = purchases::buy(&app, PRODUCT, BUY, asked, bought).await?;
    let message = "The purchase is recorded";
    Ok(answer(StatusCode::ACCEPTED, &Answer { status: "success", message, data: row.into() }))
}

fn read(fields: &Fields) -> Result<Bought, Refusal> {
    let mut errors = Vec::new();
    let mut field = |name: &str| -> Option<&str> {
        let found = fields.get(name).map(|value| value.get());
        if found.is_none() {
            errors.push(FieldError { pointer: format!("/{name}"), detail: MISSING.to_owned() });
        }
        found
    };
    let (username, userid, price) = (field("username"), field("userid"), field("price"));
    let mut typed = |pointer: &str, json: Option<&str>| -> Option<String> {
        let text = serde_json::from_str(json?);
        if text.is_err() {
            errors.push(FieldError { pointer: pointer.to_owned(), detail: "must be text".to_owned() });
        }
        text.ok()
    };
    let (username, userid) = (typed("/username", username), typed("/userid", userid));
    let price: Option<Result<Price, _>> = price.map(serde_json::from_str);
    if let Some(Err(_)) = &price {
        let detail = card_kinds::purchase::InvalidPrice.to_string();
        errors.push(FieldError { pointer: "/price".to_owned(), detail });
    }
    match (username, userid, price) {
        (Some(username), Some(userid), Some(Ok(price))) if errors.is_empty() => Ok(Bought { userid, username, price }),
        _ => Err(Refusal::invalid_all(errors)),
    }
}

async fn history(
    State(app): State<Arc<App>>,
    caller: Anybody,
    Path(userid): Path<String>,
) -> Result<Response, Refusal> {
    let (rows, _) = purchases::page(&app, PRODUCT, &userid, caller, None, LIMIT).await?;
    Ok(ok(&rows.into_iter().map(Shown::from).collect::<Vec<_>>()))
}

async fn healthy() -> Response {
    ok(&json!({"status": "alive"}))
}

async fn ready(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.engine.ping().await?;
    Ok(ok(&json!({"status": "ready", "mongo": true, "kafka": true})))
}
