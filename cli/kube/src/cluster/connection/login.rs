//! As whom a cluster is asked: what every request has in its head, and what the connection shows.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::plugin::Plugin;
use super::tls::{self, Identity};
use crate::cluster::kubeconfig::{Snapshot, User, is_this_machine};

/// A token that is in a file is renewed there.
const REREAD: Duration = Duration::from_secs(60);
/// A plugin whose credential is over when it comes is not asked again for each request.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What is shown now.
#[derive(Clone, Default)]
pub(super) struct Login {
    /// Which one of this process it is, from 0.
    pub(super) number: u64,
    pub(super) token: Option<HeaderValue>,
    pub(super) identity: Option<Identity>,
}

/// Where it comes from.
pub(super) struct Logins {
    source: Source,
    /// Who else is to be asked for.
    pub(super) headers: HeaderMap,
    now: Mutex<Option<Held>>,
}

enum Source {
    Fixed(Login),
    File { path: String, first: Login },
    Plugin(Box<Plugin>),
}

struct Held {
    login: Login,
    until: Option<jiff::Timestamp>,
    since: Instant,
    refused: bool,
}

/// Why nobody could log in. Nothing that is secret is in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(in crate::cluster) struct LoginError {
    pub(in crate::cluster) reason: String,
    /// What the kubeconfig says about that, or we.
    pub(in crate::cluster) fix: Option<String>,
}

impl LoginError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: None }
    }
}

impl Logins {
    /// # Errors
    /// What the kubeconfig says of the user can't be used. The sentence repeats nothing secret.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, String> {
        let user = &snapshot.user;
        check(user)?;
        // As kubectl has it: nothing is shown to a server without TLS. Only this machine itself is no network.
        let stays_here = is_this_machine(snapshot.server.host()) && snapshot.proxy.is_none();
        if !snapshot.server.is_tls() && !stays_here {
            let source = Source::Fixed(Login::default());
            return Ok(Self { source, headers: impersonation(user)?, now: Mutex::new(None) });
        }
        let identity = tls::identity(user)?;
        let fixed = |token| Source::Fixed(Login { number: 0, token, identity: identity.clone() });
        let source = if !user.token_file.is_empty() {
            let token = Some(&user.token).filter(|token| !token.is_empty());
            let token = token.map(|token| bearer(token)).transpose()?;
            Source::File { path: user.token_file.clone(), first: Login { number: 0, token, identity } }
        } else if !user.token.is_empty() {
            fixed(Some(bearer(&user.token)?))
        } else if !user.username.is_empty() || !user.password.is_empty() {
            fixed(Some(basic(&user.username, &user.password)?))
        } else if let Some(exec) = &user.exec {
            Source::Plugin(Box::new(Plugin::of(exec, snapshot, identity)?))
        } else {
            fixed(None)
        };
        Ok(Self { source, headers: impersonation(user)?, now: Mutex::new(None) })
    }

    /// What is to be shown. A plugin is run if there is nothing yet, or what there was is over; once, whoever else waits.
    pub(super) async fn current(&self) -> Result<Login, LoginError> {
        let mut now = self.now.lock().await;
        if let Some(held) = now.as_ref().filter(|held| held.is_good(&self.source)) {
            return Ok(held.login.clone());
        }
        let number = now.as_ref().map_or(0, |held| held.login.number + 1);
        let (login, until) = match &self.source {
            Source::Fixed(login) => (login.clone(), None),
            Source::File { path, first } => (of_file(path, first, now.as_ref())?, None),
            Source::Plugin(plugin) => plugin.run().await?,
        };
        let login = Login { number, ..login };
        *now = Some(Held { login: login.clone(), until, since: Instant::now(), refused: false });
        Ok(login)
    }

    /// The server does not know it, so it may be over before its time.
    pub(super) async fn refused(&self, login: &Login) {
        if let Some(held) = self.now.lock().await.as_mut().filter(|held| held.login.number == login.number) {
            held.refused = true;
        }
    }
}

impl Held {
    fn is_good(&self, source: &Source) -> bool {
        let age = self.since.elapsed();
        match source {
            Source::Fixed(_) => true,
            Source::File { .. } => age < REREAD && !self.refused,
            Source::Plugin(_) => {
                let over = self.refused || self.until.is_some_and(|until| jiff::Timestamp::now() >= until);
                !over || age < ASK_AGAIN
            }
        }
    }
}

/// A file that is gone meanwhile changes nothing: whoever wrote the token may have removed it.
fn of_file(path: &str, first: &Login, held: Option<&Held>) -> Result<Login, LoginError> {
    let read = std::fs::read_to_string(path).map_err(|error| format!("its tokenFile {path}: {error}"));
    let token = read.and_then(|text| match text.trim() {
        "" => Err(format!("its tokenFile {path} is empty")),
        token => bearer(token),
    });
    match (token, held) {
        (Ok(token), _) => Ok(Login { token: Some(token), ..first.clone() }),
        (Err(_), Some(held)) => Ok(held.login.clone()),
        (Err(_), None) if first.token.is_some() => Ok(first.clone()),
        (Err(reason), None) => Err(LoginError::new(reason)),
    }
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue, String> {
    secret(&format!("Bearer {token}"))
}

pub(super) fn basic(name: &str, password: &str) -> Result<HeaderValue, String> {
    secret(&format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
}

fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "a token or a name has characters that no request can have")?;
    value.set_sensitive(true);
    Ok(value)
}

/// What `kubectl` refuses as well.
fn check(user: &User) -> Result<(), String> {
    let ways: Vec<&str> = [
        ("a token", !user.token.is_empty()),
        ("a username and password", !user.username.is_empty() || !user.password.is_empty()),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect();
    if ways.len() > 1 {
        return Err(format!("its user has {}; only one can be meant", ways.join(" and ")));
    }
    if let Some(provider) = &user.auth_provider {
        return Err(format!(
            "its user logs in by the auth-provider {:?}, which Kubernetes has given up for exec plugins",
            provider.name
        ));
    }
    let others =
        !user.impersonate_uid.is_empty() || !user.impersonate_groups.is_empty() || !user.impersonate_extra.is_empty();
    if others && user.impersonate.is_empty() {
        return Err("its user has as-uid, as-groups or as-user-extra, and no as".to_owned());
    }
    Ok(())
}

fn impersonation(user: &User) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let name: HeaderName = name.parse().map_err(|_| "as-user-extra has a key that no request can have")?;
        let value = HeaderValue::from_str(value).map_err(|_| "as has characters that no request can have")?;
        headers.append(name, value);
        Ok::<_, String>(())
    };
    let named = [("impersonate-user", &user.impersonate), ("impersonate-uid", &user.impersonate_uid)];
    for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
        add(name, value)?;
    }
    for group in &user.impersonate_groups {
        add("impersonate-group", group)?;
    }
    for (key, values) in &user.impersonate_extra {
        for value in values {
            add(&format!("impersonate-extra-{}", escaped(key)), value)?;
        }
    }
    Ok(headers)
}

/// As Kubernetes has keys in names of headers: whatever may not be there in percent escapes.
fn escaped(key: &str) -> String {
    let mut out = String::new();
    for byte in key.to_ascii_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            out.push(byte.into());
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}
