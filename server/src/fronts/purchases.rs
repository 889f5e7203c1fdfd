//! What the two shops of old have in common: purchases in the name of a user id that the caller says, and no tokens.
//!
//! The purchases of such an id are those of an owner that no account has, made of the product and the id. A caller that does
//! send a token speaks for itself alone: a user for the purchases of its own id, an operator for any.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use bytes::Bytes;
use card_core::ids::{TaskId, UserId};
use card_core::problem::{Code, FieldError};
use card_core::tasks::{History, Priority};
use card_kinds::purchase::{self, NewPurchase, Price, Purchase};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::http::body::{Raw, parse, payload};
use crate::http::gate::Admission;
use crate::http::headers::WriteHeaders;
use crate::problem::Refusal;
use crate::routes::tasks::{Order, accept};

/// The product whose ids these are: one of another is somebody else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product(pub(super) &'static str);

/// Who calls, if it says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anybody(Option<Caller>);

impl FromRequestParts<Arc<App>> for Anybody {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self(None));
        }
        Ok(Self(Some(Caller::of(&parts.headers, app).await?)))
    }
}

impl Product {
    /// Whose the purchases of a user id are, for this caller.
    fn owner(self, userid: &str, caller: Anybody) -> Result<UserId, Refusal> {
        let account: Option<UserId> = userid.parse().ok();
        match (caller.0, account) {
            (Some(Caller::User(user)), Some(id)) if id == user.id => Ok(id),
            (Some(Caller::User(_)), _) => {
                Err(Refusal::not_found("With a token, the user id is that of its user; you may see no other's."))
            }
            (Some(Caller::Operator), Some(id)) => Ok(id),
            _ => Ok(self.unowned(userid)),
        }
    }

    /// A UUID of version 8 (RFC 9562), which no account has.
    fn unowned(self, userid: &str) -> UserId {
        // No product has a line break in its name.
        let hash = Sha256::new().chain_update(self.0).chain_update("\n").chain_update(userid).finalize();
        let mut bytes: [u8; 16] = hash.first_chunk().copied().unwrap_or_default();
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        UserId::from_uuid(Uuid::from_bytes(bytes))
    }
}

/// The fields of a body as they were written; those that nobody knows are ignored.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// A purchase that was asked for.
pub(super) struct Bought {
    pub(super) userid: String,
    pub(super) username: String,
    pub(super) price: Price,
}

/// What a purchase of a front says in its `item`.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    userid: String,
    username: String,
}

/// A purchase as the fronts show it.
pub(super) struct Row {
    pub(super) task: TaskId,
    pub(super) userid: String,
    pub(super) username: String,
    pub(super) price: Price,
}

impl Row {
    /// When it was bought, in milliseconds since 1970: when it was accepted, as the task's id says.
    pub(super) fn millis(&self) -> u64 {
        let (seconds, nanos) = self.task.uuid().get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
        seconds * 1_000 + u64::from(nanos) / 1_000_000
    }

    /// The price as a JSON number: exact, as it is written.
    pub(super) fn price(&self) -> Box<RawValue> {
        RawValue::from_string(self.price.to_string()).unwrap_or_default()
    }

    pub(super) fn of(purchase: Purchase, userid: &str) -> Self {
        let Purchase { task, price, item, .. } = purchase;
        let named: Option<Named> = item.as_deref().and_then(|item| serde_json::from_str(item).ok());
        match named {
            Some(Named { userid, username }) => Self { task, userid, username, price },
            // One of the API, which says what it is and not who.
            None => Self { task, userid: userid.to_owned(), username: item.unwrap_or_default(), price },
        }
    }

    /// A purchase of any front, by the result of its task.
    pub(super) fn recorded(task: TaskId, result: &RawValue) -> Option<Self> {
        let recorded: purchase::Recorded = serde_json::from_str(result.get()).ok()?;
        let Named { userid, username } = serde_json::from_str(recorded.item.as_deref()?).ok()?;
        Some(Self { task, userid, username, price: recorded.price })
    }
}

/// A purchase that is asked for: who, with what, and the body as it came.
pub(super) struct Asked {
    caller: Anybody,
    admission: Admission,
    headers: WriteHeaders,
    body: Bytes,
}

impl FromRequest<Arc<App>> for Asked {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let caller = Anybody::from_request_parts(&mut parts, app).await?;
        let admission = Admission::from_request_parts(&mut parts, app).await?;
        let headers = WriteHeaders::from_request_parts(&mut parts, app).await?;
        let Raw { bytes, is_json } = Raw::from_request(Request::from_parts(parts, body), app).await?;
        if !is_json {
            return Err(Refusal::new(Code::UnsupportedMediaType, "Send JSON, with `content-type: application/json`."));
        }
        Ok(Self { caller, admission, headers, body: bytes })
    }
}

impl Asked {
    /// The fields of the body.
    pub(super) fn fields(&self) -> Result<Fields, Refusal> {
        parse(&self.body)
    }
}

/// Records a purchase: durable on return.
pub(super) async fn buy(
    app: &App,
    product: Product,
    route: &str,
    asked: Asked,
    bought: Bought,
) -> Result<Row, Refusal> {
    let Asked { caller, admission, headers, body } = asked;
    let Bought { userid, username, price } = bought;
    let headers = if caller.0.is_some() { headers } else { headers.of_nobody(product.0) };
    let owner = product.owner(&userid, caller)?;
    let kind = app.kinds.get(purchase::KIND).ok_or_else(|| Refusal::not_found("There are no purchases here."))?;
    let named = Named { userid, username };
    let new = NewPurchase { price, item: Some(to_json(&named)) };
    let payload = payload(kind, to_json(&new).as_bytes(), "").map_err(|refusal| too_long(&refusal))?;
    let idempotency = headers.idempotency(&Method::POST, route, &body);
    let holders = caller.0.map_or_else(|| admission.address(), |caller| admission.holders(caller));
    let order = Order { kind, payload, priority: Priority::default(), due_at: None };
    let (task, _) = accept(app, order, Some(owner), &holders, headers.run, idempotency).await?;
    Ok(Row { task: task.id, userid: named.userid, username: named.username, price })
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The one thing that can be wrong with a purchase whose fields were looked at.
fn too_long(refusal: &Refusal) -> Refusal {
    if refusal.errors().iter().any(|error| error.pointer == "/item") {
        let detail = "and userid are too long together: they may have some 170 characters".to_owned();
        return Refusal::invalid_all(vec![FieldError { pointer: "/username".to_owned(), detail }]);
    }
    refusal.clone()
}

/// A page of the purchases of a user id, newest first, and where the next begins.
pub(super) async fn page(
    app: &App,
    product: Product,
    userid: &str,
    caller: Anybody,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<Row>, Option<String>), Refusal> {
    let history = History { owner: product.owner(userid, caller)?, kind: purchase::KIND, from: None, to: None };
    let page = app.engine.history(&history, cursor, limit).await?;
    let rows = page.items.iter().filter_map(Purchase::of).map(|purchase| Row::of(purchase, userid)).collect();
    Ok((rows, page.next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_owner_of_its_product_and_no_account() {
        let (shop, list) = (Product("shop"), Product("buy-list"));
        let nobody = Anybody(None);
        assert_eq!(shop.owner("u1", nobody).unwrap(), shop.owner("u1", nobody).unwrap());
        assert_ne!(shop.owner("u1", nobody).unwrap(), shop.owner("u2", nobody).unwrap());
        assert_ne!(shop.owner("u1", nobody).unwrap(), list.owner("u1", nobody).unwrap());
        let account = UserId::new();
        let taken = shop.owner(&account.to_string(), nobody).unwrap();
        assert_ne!(taken, account, "without a token nobody speaks for an account");
        assert_eq!(taken.uuid().get_version_num(), 8);
        assert_eq!(shop.owner(&account.to_string(), Anybody(Some(Caller::Operator))).unwrap(), account);
    }
}
