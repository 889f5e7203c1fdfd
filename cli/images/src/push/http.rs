//! Requests to a registry of our own, for what sends: every registry's idea of where to send, in how many pieces, and when to
//! come back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci_spec::distribution::Reference as Remote;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::Place;
use super::challenge::Bearer;
use super::credentials::Kind;
use super::token::Token;

/// Nobody reads more of a refusal.
const SAID: usize = 2000;

/// Why something was not sent.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The registry refused.
    Refused(Refused),
    /// There was no answer.
    Lost(reqwest::Error),
    /// The answer makes no sense.
    Nonsense(String),
}

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    /// In the registry's words.
    pub(crate) said: String,
    /// When it wants to be asked again.
    pub(crate) again: Option<Duration>,
}

pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    /// Who we are, if we are somebody.
    shown: Mutex<Option<Kind>>,
    /// What the registry gave in its place.
    token: Mutex<Option<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Http {
    pub(super) fn new(place: &Place, shown: Option<Kind>) -> Result<Self, String> {
        let scheme = if place.is_plain { "http" } else { "https" };
        // The Hub has a name that is not its address.
        let host = if place.registry == "docker.io" { "index.docker.io" } else { &place.registry };
        let base = Url::parse(&format!("{scheme}://{host}")).map_err(|error| error.to_string())?;
        let client = card_http::elsewhere("cardctl", &base).build().map_err(|error| error.to_string())?;
        Ok(Self { client, base, shown: Mutex::new(shown), token: Mutex::default() })
    }

    /// Who we are.
    pub(super) fn shown(&self) -> Option<Kind> {
        locked(&self.shown).clone()
    }

    /// What to show from now on.
    pub(super) fn show(&self, Token { token, identity }: Token) {
        *locked(&self.token) = Some(token);
        if let Some(identity) = identity
            && let Some(Kind::Identity(known)) = &mut *locked(&self.shown)
        {
            *known = identity;
        }
    }

    /// Whether there is something to show, so that a refusal may be for want of another token.
    pub(super) fn is_somebody(&self) -> bool {
        locked(&self.shown).is_some() || locked(&self.token).is_some()
    }

    /// How the registry wants to be convinced, if it does, by what it answers to nobody.
    pub(super) async fn challenge(&self) -> Result<Option<Bearer>, Trouble> {
        let mut url = self.base.clone();
        url.set_path("/v2/");
        let answer = self.client.get(url).send().await.map_err(lost)?;
        Ok(Bearer::of(answer.headers(), answer.url()))
    }

    /// Of a repository, such as `blobs/uploads/`.
    pub(crate) fn url(&self, image: &Remote, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{path}", image.repository()));
        url
    }

    /// With who we are, but only for the registry itself.
    pub(crate) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.client.request(method, url.clone());
        if url.origin() != self.base.origin() {
            return request;
        }
        match (locked(&self.token).as_deref(), &*locked(&self.shown)) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some(Kind::Token(token))) => request.bearer_auth(token),
            (None, Some(Kind::Password { username, password })) => request.basic_auth(username, Some(password)),
            // An identity token is for who gives out the others.
            (None, Some(Kind::Identity(_)) | None) => request,
        }
    }

    /// Where an upload goes on: anywhere, seen from where it was asked; never without TLS if the registry has it.
    pub(super) fn location(&self, answer: &Response) -> Result<Option<Url>, Trouble> {
        let Some(place) = answer.headers().get(LOCATION) else { return Ok(None) };
        let place = place.to_str().ok().and_then(|place| answer.url().join(place).ok());
        let place =
            place.ok_or_else(|| Trouble::Nonsense("it answers a Location that is not an address".to_owned()))?;
        if self.base.scheme() == "https" && place.scheme() != "https" {
            return Err(Trouble::Nonsense("it answers a Location without TLS, where nothing is sent".to_owned()));
        }
        Ok(Some(place))
    }
}

/// The answer, if it is a success.
pub(crate) async fn sent(request: RequestBuilder) -> Result<Response, Trouble> {
    let answer = request.send().await.map_err(lost)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let code = answer.status().as_u16();
    let again = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let said = answer.text().await.unwrap_or_default().chars().take(SAID).collect();
    Err(Trouble::Refused(Refused { code, said, again: again.map(Duration::from_secs) }))
}

/// Without the address: an upload's is a password of its own.
pub(crate) fn lost(error: reqwest::Error) -> Trouble {
    Trouble::Lost(error.without_url())
}

impl Trouble {
    /// Whether the same may go well in a moment.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refused) => matches!(refused.code, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Lost(error) => !error.is_builder() && !error.is_redirect(),
            Self::Nonsense(_) => false,
        }
    }

    pub(crate) fn has(&self, codes: &[StatusCode]) -> bool {
        matches!(self, Self::Refused(refused) if codes.iter().any(|code| code.as_u16() == refused.code))
    }
}
