//! Tokens of a registry's own: Debian's registry with somebody who gives them out, and every oddity of such.

use std::ffi::OsString;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use card_images::push::{self, Credentials, Event, Place, Pushed};
use card_images::{Image, ImageError, verify};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::registry::{self, Real};
use crate::workshop::Workshop;

const IDENTITY: &str = "identity-hunter2";
const BASIC: &str = "Basic YWRhOmh1bnRlcjI=";

/// Gives out tokens for one password and one identity token, and keeps what it was asked.
#[derive(Clone)]
struct Office {
    address: String,
    pem: String,
    key: EncodingKey,
    certificate: Vec<u8>,
    ways: Arc<Mutex<Ways>>,
}

/// How it behaves, and what it was asked.
#[derive(Default)]
struct Ways {
    /// `method grant-or-login service scope`.
    asked: Vec<String>,
    /// In the place of its answer, where `$TOKEN` is the token.
    answer: Option<(u16, String)>,
    /// What it gives for an identity token besides.
    next: Option<&'static str>,
    /// The identity token that is good now; the first one otherwise.
    good: Option<&'static str>,
    /// Tokens that are over when they are given: so many.
    stale: usize,
}

type Pairs = Query<Vec<(String, String)>>;

impl Office {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::new(vec!["office".to_owned()]).unwrap().self_signed(&key).unwrap();
        let office = Self {
            address,
            pem: certificate.pem(),
            certificate: certificate.der().to_vec(),
            key: EncodingKey::from_ec_der(&key.serialize_der()),
            ways: Arc::default(),
        };
        let router = Router::new().route("/token", get(by_password).post(by_identity)).with_state(office.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        office
    }

    /// What belongs into the configuration of a registry that believes it.
    fn trusted(&self, dir: &std::path::Path, realm: &str) -> String {
        let bundle = dir.join("office.pem");
        std::fs::write(&bundle, &self.pem).unwrap();
        format!(
            "auth:\n  token:\n    realm: {realm}\n    service: cards.test\n    issuer: office\n    rootcertbundle: {}\n",
            bundle.display()
        )
    }

    /// For `repository:NAME:ACTIONS`.
    fn token(&self, scope: &str) -> String {
        let mut parts = scope.splitn(3, ':');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (kind, name, actions) = (part(), part(), part());
        let actions: Vec<&str> = actions.split(',').collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut ways = self.ways.lock().unwrap();
        // The registry lets clocks differ by a minute.
        let until = if ways.stale > 0 { now - 600 } else { now + 600 };
        ways.stale = ways.stale.saturating_sub(1);
        let claims = json!({
            "iss": "office", "sub": "ada", "aud": "cards.test", "exp": until, "nbf": now - 900, "iat": now - 900,
            "jti": now.to_string(), "access": [{"type": kind, "name": name, "actions": actions}],
        });
        let mut header = Header::new(Algorithm::ES256);
        header.x5c = Some(vec![base64(&self.certificate)]);
        encode(&header, &claims, &self.key).unwrap()
    }

    fn answer(&self, scope: &str, usual: impl FnOnce(&str) -> Value) -> Response {
        let token = self.token(scope);
        match &self.ways.lock().unwrap().answer {
            Some((code, body)) => {
                (StatusCode::from_u16(*code).unwrap(), body.replace("$TOKEN", &token)).into_response()
            }
            None => axum::Json(usual(&token)).into_response(),
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.ways.lock().unwrap().asked)
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(known, _)| known == name).map_or("-", |(_, value)| value)
}

async fn by_password(State(office): State<Office>, pairs: Pairs, headers: HeaderMap) -> Response {
    let login = headers.get(header::AUTHORIZATION).map_or("-", |value| value.to_str().unwrap());
    let (service, scope) = (find(&pairs.0, "service"), find(&pairs.0, "scope"));
    office.ways.lock().unwrap().asked.push(format!("GET {login} {service} {scope}"));
    if login != BASIC {
        return (StatusCode::UNAUTHORIZED, "no such name and password").into_response();
    }
    office.answer(scope, |token| json!({"token": token, "expires_in": 300, "issued_at": "2026-11-30T17:00:00Z"}))
}

async fn by_identity(State(office): State<Office>, Form(pairs): Form<Vec<(String, String)>>) -> Response {
    let [grant, service, scope, shown] =
        ["grant_type", "service", "scope", "refresh_token"].map(|name| find(&pairs, name));
    let (good, next) = {
        let mut ways = office.ways.lock().unwrap();
        ways.asked.push(format!("POST {grant} {service} {scope}"));
        let good = ways.good.unwrap_or(IDENTITY);
        if ways.next.is_some() && shown == good {
            ways.good = ways.next;
        }
        (good, ways.next)
    };
    if shown != good || find(&pairs, "client_id") != "cardctl" {
        // As some do, with what they were shown.
        let body = json!({"error": "invalid_grant", "error_description": format!("{shown} is over")});
        return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
    }
    office.answer(scope, |token| {
        let mut answer = json!({"access_token": token, "token_type": "Bearer", "scope": scope});
        if let Some(next) = next {
            answer["refresh_token"] = next.into();
        }
        answer
    })
}

/// As Docker's configuration has them.
async fn known(address: &str, entry: Value) -> Credentials {
    let config: OsString = json!({"auths": {address: entry}}).to_string().into();
    push::credentials(address, |name| (name == "DOCKER_AUTH_CONFIG").then(|| config.clone())).await.unwrap().unwrap()
}

async fn send(image: &Image, address: &str, credentials: &Credentials) -> Result<Pushed, ImageError> {
    let place: Place = format!("{address}/cards").parse().unwrap();
    let watch: push::Watch = Arc::new(|_: Event| {});
    let pushed = push::push(std::slice::from_ref(image), &place, Some(credentials), &watch).await?;
    let pushed = pushed.into_iter().next().unwrap();
    let verified = verify::registry(&pushed.reference.pinned(), &place, Some(credentials)).await?;
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    Ok(pushed)
}

fn built(workshop: &Workshop) -> Image {
    workshop.store().build(&workshop.recipe()).unwrap().image
}

#[tokio::test]
async fn debians_registry_is_entered_with_a_password_and_with_an_identity_token() {
    let workshop = Workshop::new();
    let office = Office::open().await;
    let more = office.trusted(workshop.path(), &format!("http://{}/token", office.address));
    let Some(real) = Real::with(workshop.path(), &more) else { return };
    let image = built(&workshop);
    let (push, pull) =
        ("cards.test repository:cards/card-server:pull,push", "cards.test repository:cards/card-server:pull");
    let password = known(&real.address, json!({"auth": base64(b"ada:hunter2")})).await;
    send(&image, &real.address, &password).await.unwrap();
    assert_eq!(office.asked(), [format!("GET {BASIC} {push}"), format!("GET {BASIC} {pull}")]);
    // As `docker login` leaves it: the name, and a token in the place of the password.
    let identity = known(&real.address, json!({"auth": base64(b"ada:"), "identitytoken": IDENTITY})).await;
    send(&image, &real.address, &identity).await.unwrap();
    assert_eq!(office.asked(), [format!("POST refresh_token {push}"), format!("POST refresh_token {pull}")]);
    // Whatever it calls the token, and whatever else it says or does not.
    for answer in [
        r#"{"token": "$TOKEN"}"#,
        r#"{"token": null, "access_token": "$TOKEN", "refresh_token": null}"#,
        r#"{"token": "", "access_token": "$TOKEN", "expires_in": 0}"#,
        r#"{"token": "$TOKEN", "access_token": "$TOKEN", "expires_in": 1, "issued_at": "nonsense", "more": [null]}"#,
    ] {
        for credentials in [&password, &identity] {
            office.ways.lock().unwrap().answer = Some((200, answer.to_owned()));
            send(&image, &real.address, credentials).await.unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
    }
    office.ways.lock().unwrap().answer = None;
    // A token that is over is asked for again, with the identity token that came with it.
    office.asked();
    {
        let mut ways = office.ways.lock().unwrap();
        (ways.stale, ways.next) = (1, Some("identity-of-later"));
    }
    let place: Place = format!("{}/cards", real.address).parse().unwrap();
    let watch: push::Watch = Arc::new(|_: Event| {});
    push::push(std::slice::from_ref(&image), &place, Some(&identity), &watch).await.unwrap();
    assert_eq!(office.asked().len(), 2);
    // One that is not good any more is refused, without being repeated.
    let error = send(&image, &real.address, &identity).await.unwrap_err();
    assert_eq!(error.code, "registry-refused", "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert!(error.fix.as_ref().unwrap().contains(&format!("docker login {}", real.address)), "{error}");
    let wrong = known(&real.address, json!({"auth": base64(b"ada:other-hunter2")})).await;
    assert_eq!(send(&image, &real.address, &wrong).await.unwrap_err().code, "registry-refused");
}

#[tokio::test]
async fn answers_that_are_no_token_are_told_as_what_they_are() {
    let workshop = Workshop::new();
    let (image, office) = (built(&workshop), Office::open().await);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Bearer of-somebody");
    registry.lock().unwrap().challenge = Some(format!("Bearer realm=\"http://{}/token\"", office.address));
    let identity = known(&address, json!({"identitytoken": IDENTITY})).await;
    for (code, body, is) in [
        (200, "{}", "registry-failed"),
        (200, r#"{"token": ""}"#, "registry-failed"),
        (200, r#"{"token": 7}"#, "registry-failed"),
        (200, "<html>", "registry-failed"),
        (200, r#"{"token": "not-of-somebody"}"#, "registry-refused"),
        (200, r#"{"access_token": "a\nb"}"#, "registry-failed"),
        (400, r#"{"error": "invalid_grant"}"#, "registry-refused"),
        (401, "", "registry-refused"),
        (403, "", "registry-refused"),
        (429, "", "registry-busy"),
        (500, "", "registry-failed"),
    ] {
        office.ways.lock().unwrap().answer = Some((code, body.to_owned()));
        let error = send(&image, &address, &identity).await.unwrap_err();
        assert_eq!(error.code, is, "{code} {body}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    // Nobody gives one out: it is for nobody else.
    registry.lock().unwrap().challenge = None;
    let error = send(&image, &address, &identity).await.unwrap_err();
    assert_eq!(error.code, "registry-refused");
    assert!(
        registry
            .lock()
            .unwrap()
            .shown
            .iter()
            .all(|(_, shown)| { shown.as_ref().is_none_or(|shown| !shown.contains("hunter2")) })
    );
}

#[tokio::test]
async fn what_is_shown_for_a_token_goes_nowhere_else() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Bearer of-somebody");
    // A listener that is given nothing, and one that only redirects there.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    silent.set_nonblocking(true).unwrap();
    let there = silent.local_addr().unwrap();
    let leads = Router::new().fallback(move || async move {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("http://{there}/token"))])
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let redirects = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, leads).await.unwrap() });
    let identity = known(&address, json!({"identitytoken": IDENTITY})).await;
    let password = known(&address, json!({"auth": base64(b"ada:hunter2")})).await;
    for (realm, credentials, is) in [
        ("http://192.0.2.1/token".to_owned(), &identity, "plain-http"),
        ("http://192.0.2.1/token".to_owned(), &password, "plain-http"),
        ("//192.0.2.1/token".to_owned(), &identity, "plain-http"),
        (format!("http://{redirects}/token"), &identity, "registry-failed"),
    ] {
        registry.lock().unwrap().challenge = Some(format!("Bearer realm=\"{realm}\",service=\"x\""));
        let error = send(&image, &address, credentials).await.unwrap_err();
        assert_eq!(error.code, is, "{realm}: {error}");
    }
    assert!(silent.accept().is_err(), "a redirect was followed with a token");
}

#[tokio::test]
async fn a_realm_may_be_seen_from_the_registry() {
    let workshop = Workshop::new();
    let (image, office) = (built(&workshop), Office::open().await);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Bearer of-somebody");
    registry.lock().unwrap().token = Some(r#"{"access_token": "of-somebody"}"#);
    registry.lock().unwrap().challenge = Some("Bearer realm=\"/token\"".to_owned());
    let identity = known(&address, json!({"identitytoken": IDENTITY})).await;
    send(&image, &address, &identity).await.unwrap();
    assert!(office.asked().is_empty());
    assert!(registry.lock().unwrap().shown.iter().any(|(what, _)| what == "POST /token"));
}
