//! Requests to a registry of our own, for what sends: every registry's idea of where to send, in how many pieces, and when to
//! come back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci_client::Reference as Remote;
use oci_client::secrets::RegistryAuth;
use reqwest::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::Place;

/// A registry that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
/// Nobody reads more of a refusal.
const SAID: usize = 2000;

/// Why something was not sent.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The registry refused.
    Refused(Refused),
    /// There was no answer.
    Lost(reqwest::Error),
    /// The answer makes no sense.
    Nonsense(String),
}

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: u16,
    /// In the registry's words.
    pub(super) said: String,
    /// When it wants to be asked again.
    pub(super) again: Option<Duration>,
}

pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    basic: Option<(String, String)>,
    token: Mutex<Option<String>>,
}

impl Http {
    pub(super) fn new(place: &Place, auth: &RegistryAuth, is_here: bool) -> Result<Self, String> {
        let scheme = if place.is_plain { "http" } else { "https" };
        // The Hub has a name that is not its address.
        let host = if place.registry == "docker.io" { "index.docker.io" } else { &place.registry };
        let base = Url::parse(&format!("{scheme}://{host}")).map_err(|error| error.to_string())?;
        let builder = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE);
        let builder = builder.user_agent(concat!("cardctl/", env!("CARGO_PKG_VERSION")));
        let builder = if is_here { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| error.to_string())?;
        let (basic, token) = match auth {
            RegistryAuth::Anonymous => (None, None),
            RegistryAuth::Basic(name, password) => (Some((name.clone(), password.clone())), None),
            RegistryAuth::Bearer(token) => (None, Some(token.clone())),
        };
        Ok(Self { client, base, basic, token: Mutex::new(token) })
    }

    /// What to show from now on, if the registry gave one.
    pub(super) fn show(&self, token: Option<String>) {
        if let Some(token) = token {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        }
    }

    /// Of a repository, such as `blobs/uploads/`.
    pub(super) fn url(&self, image: &Remote, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{path}", image.repository()));
        url
    }

    /// With who we are, but only for the registry itself.
    pub(super) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.client.request(method, url.clone());
        if url.origin() != self.base.origin() {
            return request;
        }
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (token, &self.basic) {
            (Some(token), _) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            (None, Some((name, password))) => request.basic_auth(name, Some(password)),
            (None, None) => request,
        }
    }

    /// Where an upload goes on: anywhere, seen from where it was asked; never without TLS if the registry has it.
    pub(super) fn location(&self, answer: &Response) -> Result<Option<Url>, Trouble> {
        let Some(place) = answer.headers().get(LOCATION) else { return Ok(None) };
        let place = place.to_str().ok().and_then(|place| answer.url().join(place).ok());
        let place = place.ok_or_else(|| Trouble::Nonsense("it answers a Location that is no address".to_owned()))?;
        if self.base.scheme() == "https" && place.scheme() != "https" {
            return Err(Trouble::Nonsense("it answers a Location without TLS, where nothing is sent".to_owned()));
        }
        Ok(Some(place))
    }
}

/// The answer, if it is a success.
pub(super) async fn sent(request: RequestBuilder) -> Result<Response, Trouble> {
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
pub(super) fn lost(error: reqwest::Error) -> Trouble {
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

    pub(super) fn has(&self, codes: &[StatusCode]) -> bool {
        matches!(self, Self::Refused(refused) if codes.iter().any(|code| code.as_u16() == refused.code))
    }
}
