//! `buy-list` and `buy-list-management`: the customer-facing service (with what its page calls under `/api`) and the management
//! service of the old buy list.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use card_core::problem::{Code, FieldError};
use card_core::tasks::{Status, TaskFilter};
use card_kinds::purchase::{self, InvalidPrice};
use futures::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Routes;
use super::purchases::{Anybody, Asked, Bought, Fields, Product, Row, buy as record, page};
use crate::app::App;
use crate::auth::caller::Operator;
use crate::http::answer::Wording;
use crate::http::json::{json as answer, ok};
use crate::problem::Refusal;
use crate::routes::metrics::metrics;

const PRODUCT: Product = Product("buy-list");
const BUY: &str = "/buy";
/// Rows read from the ledger in one go; a history has no end of its own.
const PAGE: usize = 200;
/// Of everybody's purchases, the newest.
const EVERYBODYS: usize = 500;

pub(super) fn surface() -> (Routes, Wording) {
    let routes = vec![
        (BUY, with_options(post(buy))),
        ("/api/buy", with_options(post(buy))),
        ("/getAllUserBuys/{userid}", with_options(get(history))),
        ("/api/getAllUserBuys/{userid}", with_options(get(history))),
        ("/health", with_options(get(health))),
        ("/metrics", get(metrics)),
    ];
    (routes, WORDING)
}

pub(super) fn management() -> (Routes, Wording) {
    let routes = vec![
        ("/purchases", with_options(get(everybodys))),
        ("/purchases/{userid}", with_options(get(history))),
        ("/health", with_options(get(health_of_both))),
        ("/metrics", get(metrics)),
    ];
    (routes, WORDING)
}

const WORDING: Wording = Wording::Own { write, any_origin: true };

/// `{"error": …}`.
fn write(refusal: &Refusal) -> (u16, Value) {
    let status = match refusal.code() {
        Code::ValidationFailed | Code::MalformedJson | Code::UnsupportedMediaType => 400,
        code => code.status(),
    };
    (status, json!({"error": refusal.in_words()}))
}

/// What a browser asks before it calls from a page of another origin.
fn with_options(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.options(|headers: HeaderMap| async move {
        let mut response = crate::http::json::no_content();
        let given = response.headers_mut();
        given.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"));
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            given.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            given.insert(header::VARY, HeaderValue::from_static("access-control-request-headers"));
        }
        response
    })
}

#[derive(Serialize)]
struct Answer {
    message: &'static str,
    purchase: Told,
}

/// A purchase as the answer to it shows it.
#[derive(Serialize)]
struct Told {
    username: String,
    userid: String,
    price: Box<RawValue>,
    timestamp: String,
}

/// A purchase as histories show it: with what its store added.
#[derive(Serialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: String,
    #[serde(flatten)]
    told: Told,
    #[serde(rename = "__v")]
    version: u32,
}

impl From<Row> for Told {
    fn from(row: Row) -> Self {
        let price = row.price();
        let at = i64::try_from(row.millis()).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        let timestamp = format!("{:.3}", at.unwrap_or_default());
        Self { username: row.username, userid: row.userid, price, timestamp }
    }
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        // As long as the ids of its store: the end of a task's id is random.
        let id = row.task.uuid().simple().to_string().split_off(8);
        Self { id, told: row.into(), version: 0 }
    }
}

async fn buy(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Refusal> {
    let bought = read(&asked.fields()?)?;
    let row = record(&app, PRODUCT, BUY, asked, bought).await?;
    Ok(answer(StatusCode::CREATED, &Answer { message: "Purchase recorded", purchase: row.into() }))
}

fn read(fields: &Fields) -> Result<Bought, Refusal> {
    let mut errors = Vec::new();
    let mut text = |name: &str| -> String {
        // A number was taken for its digits.
        let value: Option<Value> = fields.get(name).and_then(|value| serde_json::from_str(value.get()).ok());
        let text = match value {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if text.trim().is_empty() {
            errors.push(FieldError { pointer: format!("/{name}"), detail: "is required: a text".to_owned() });
        }
        text
    };
    let (username, userid) = (text("username"), text("userid"));
    let price = fields.get("price").map(|price| serde_json::from_str(price.get()));
    if !matches!(price, Some(Ok(_))) {
        errors.push(FieldError { pointer: "/price".to_owned(), detail: InvalidPrice.to_string() });
    }
    match price {
        Some(Ok(price)) if errors.is_empty() => Ok(Bought { userid, username, price }),
        _ => Err(Refusal::invalid_all(errors)),
    }
}

/// All purchases of a user id. They are sent page by page, so that it does not matter how many they are.
async fn history(
    State(app): State<Arc<App>>,
    caller: Anybody,
    Path(userid): Path<String>,
) -> Result<Response, Refusal> {
    // What is wrong shows before the answer has begun.
    let first = page(&app, PRODUCT, &userid, caller, None, PAGE).await?;
    let pages = stream::try_unfold((Some(first), "["), move |(next, mut before)| {
        let (app, userid) = (Arc::clone(&app), userid.clone());
        async move {
            let Some((rows, cursor)) = next else { return Ok::<_, std::io::Error>(None) };
            let broken = |refusal: Refusal| std::io::Error::other(refusal.in_words());
            let mut text = String::new();
            for row in rows {
                text.push_str(before);
                text.push_str(&serde_json::to_string(&Stored::from(row)).map_err(std::io::Error::other)?);
                before = ",";
            }
            let next = match cursor {
                Some(cursor) => Some(page(&app, PRODUCT, &userid, caller, Some(&cursor), PAGE).await.map_err(broken)?),
                None => None,
            };
            if next.is_none() {
                text.push_str(if before == "[" { "[]" } else { "]" });
            }
            Ok(Some((Bytes::from(text), (next, before))))
        }
    });
    let mut response = Response::new(Body::from_stream(pages));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The newest purchases of every user id. Who asks for everybody's must be an operator.
async fn everybodys(State(app): State<Arc<App>>, _: Operator) -> Result<Response, Refusal> {
    let filter = TaskFilter { kind: Some(purchase::KIND), status: Some(Status::Succeeded), ..TaskFilter::default() };
    let page = app.engine.list(&filter, None, EVERYBODYS).await?;
    let rows = page.items.iter().filter_map(|task| Row::recorded(task.id, task.result.as_deref()?));
    Ok(ok(&rows.map(Stored::from).collect::<Vec<_>>()))
}

async fn health(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.engine.ping().await?;
    Ok(ok(&json!({"status": "ok", "kafkaReady": true})))
}

async fn health_of_both(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.engine.ping().await?;
    Ok(ok(&json!({"status": "ok", "kafkaReady": true, "mongoReady": true})))
}
