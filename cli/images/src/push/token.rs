//! A token of a registry's own, from whom it says gives them out: for a name and a password, for an identity token that
//! `docker login` was given in their place, or for nobody in particular.
//!
//! What is shown for it goes with TLS, or to this machine, or not at all; and not to where a redirect leads.

use std::time::Duration;

use card_http::PlainHttp;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::challenge::Bearer;
use super::credentials::Kind;
use super::http::{Refused, Trouble, lost, sent};
use super::{Place, failure};
use crate::error::{ErrorKind, ImageError};

const LIMIT: Duration = Duration::from_secs(15);
/// Who asks, as the answers of OAuth 2 have it.
const CLIENT: &str = "cardctl";

/// What a registry gives out.
pub(super) struct Token {
    pub(super) token: String,
    /// In the place of the identity token that was shown, if that was changed.
    pub(super) identity: Option<String>,
}

/// The registry's and OAuth 2's names for the same. How long it lives is not looked at: what is over is refused, and asked for
/// again.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// Asks for one. `scope` is such as `repository:cards/card-server:pull,push`.
///
/// # Errors
/// It would be sent in clear to another machine, or is refused.
pub(super) async fn fetch(
    place: &Place,
    bearer: &Bearer,
    scope: &str,
    shown: Option<&Kind>,
) -> Result<Option<Token>, ImageError> {
    let failed = |trouble: Trouble| failure(&place.registry, &hushed(trouble, shown));
    // One that is shown as it is needs nobody who gives one out.
    if matches!(shown, Some(Kind::Token(_))) {
        return Ok(None);
    }
    if shown.is_some() && !PlainHttp::nowhere().lets(&bearer.realm) {
        return Err(unsafe_realm(place, &bearer.realm));
    }
    let answer = sent(request(bearer, scope, shown)?).await.map_err(failed)?;
    let answer: Answer = serde_json::from_slice(&answer.bytes().await.map_err(lost).map_err(failed)?)
        .map_err(|_| failed(Trouble::Nonsense("who gives out its tokens answers something else".to_owned())))?;
    let can_be_sent = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let token = [answer.token, answer.access_token].into_iter().flatten().find(can_be_sent);
    let token = token.ok_or_else(|| failed(Trouble::Nonsense("who gives out its tokens gave none".to_owned())))?;
    Ok(Some(Token { token, identity: answer.refresh_token.filter(|token| !token.is_empty()) }))
}

fn request(bearer: &Bearer, scope: &str, shown: Option<&Kind>) -> Result<RequestBuilder, ImageError> {
    let mut url = bearer.realm.clone();
    let http = card_http::elsewhere(CLIENT, &url).timeout(LIMIT);
    let service = bearer.service.as_deref();
    if let Some(Kind::Identity(identity)) = shown {
        // A body goes along with a redirect, wherever that leads.
        let http = http.redirect(Policy::none()).build().map_err(ImageError::internal)?;
        let form = [
            ("grant_type", "refresh_token"),
            ("service", service.unwrap_or_default()),
            ("client_id", CLIENT),
            ("scope", scope),
            ("refresh_token", identity),
        ];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        return Ok(http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form));
    }
    url.query_pairs_mut().append_pair("scope", scope);
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", service);
    }
    if let Some(Kind::Password { username, .. }) = shown {
        url.query_pairs_mut().append_pair("account", username);
    }
    let request = http.build().map_err(ImageError::internal)?.get(url);
    Ok(match shown {
        Some(Kind::Password { username, password }) => request.basic_auth(username, Some(password)),
        _ => request,
    })
}

/// A refusal as one of who asks, and without what was shown, which some repeat.
fn hushed(trouble: Trouble, shown: Option<&Kind>) -> Trouble {
    let Trouble::Refused(Refused { code, mut said, again }) = trouble else { return trouble };
    if let Some(Kind::Password { password: secret, .. } | Kind::Identity(secret)) = shown
        && !secret.is_empty()
    {
        said = said.replace(secret.as_str(), "…");
    }
    // OAuth 2 calls it a bad request (RFC 6749, 5.2).
    let is_refusal = matches!(code, 400 | 403) && shown.is_some();
    Trouble::Refused(Refused { code: if is_refusal { 401 } else { code }, said, again })
}

fn unsafe_realm(place: &Place, realm: &Url) -> ImageError {
    ImageError::new(
        "plain-http",
        ErrorKind::Environment,
        format!("the registry {} wants the password sent to another machine without TLS", place.registry),
    )
    .evidence(format!("its realm is {}://{}", realm.scheme(), realm.host_str().unwrap_or_default()))
    .fix("have the registry name an https:// address as its realm")
}
