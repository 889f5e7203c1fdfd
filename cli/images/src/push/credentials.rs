//! Who pushes: from the environment, or from where `docker login` keeps it. Never from a flag.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{ErrorKind, ImageError};
use crate::group;

const USERNAME: &str = "CARDCTL_REGISTRY_USERNAME";
const PASSWORD: &str = "CARDCTL_REGISTRY_PASSWORD";
/// As `config.json` has it; counts before the file.
const DOCKER_AUTH: &str = "DOCKER_AUTH_CONFIG";
/// Podman's file.
const PODMAN_FILE: &str = "REGISTRY_AUTH_FILE";
const PASSWORD_FILE: &str = "CARDCTL_REGISTRY_PASSWORD_FILE";
/// A helper may ask a keychain, which may ask its user.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a helper says instead of a name if it has no password but a token.
const TOKEN: &str = "<token>";

/// A name and a password, or a token that stands for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(pub(super) Kind);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Password {
        username: String,
        password: String,
    },
    /// Shown as it is (`registrytoken`).
    Token(String),
    /// For whom the registry has tokens from (`identitytoken`): it is exchanged for one.
    Identity(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Credentials {
    fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Kind::Password { username: username.into(), password: password.into() })
    }
}

/// For a registry, if there are any. `variable` is the environment.
///
/// # Errors
/// A file is named that can't be read, Docker's configuration is none, or a helper that it names is not there.
pub async fn credentials(
    registry: &str,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Credentials>, ImageError> {
    let text = |name: &str| variable(name).and_then(|value| value.into_string().ok()).filter(|text| !text.is_empty());
    if let Some(username) = text(USERNAME) {
        let password = match (text(PASSWORD), text(PASSWORD_FILE)) {
            (Some(password), _) => password,
            (None, Some(file)) => {
                let path = PathBuf::from(file);
                let password = std::fs::read_to_string(&path).map_err(|error| ImageError::read(&path, &error))?;
                password.trim_end_matches(['\r', '\n']).to_owned()
            }
            (None, None) => {
                return Err(refused(format!("{USERNAME} is set, and no password"))
                    .fix(format!("set {PASSWORD}, or set {PASSWORD_FILE} to the path of a file that holds it")));
            }
        };
        return Ok(Some(Credentials::password(username, password)));
    }
    let mut looked = Vec::new();
    if let Some(text) = text(DOCKER_AUTH) {
        looked.push(Config::read(DOCKER_AUTH, text.as_bytes())?);
    }
    for path in files(&variable) {
        match std::fs::read(&path) {
            Ok(bytes) => looked.push(Config::read(&path.display().to_string(), &bytes)?),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(ImageError::read(&path, &error)),
        }
    }
    for config in looked {
        if let Some(found) = config.find(registry).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Where `docker login` and `podman login` keep them, in the order in which they count. One that is named counts alone.
fn files(variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = path("HOME");
    let mut files: Vec<PathBuf> = path(PODMAN_FILE).into_iter().collect();
    files.extend(
        path("DOCKER_CONFIG").or_else(|| Some(home.clone()?.join(".docker"))).map(|dir| dir.join("config.json")),
    );
    files.extend(path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")));
    files.extend(
        path("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config"))).map(|dir| dir.join("containers/auth.json")),
    );
    files
}

/// Docker's `config.json`, as far as it is needed here, read as Docker reads it: names of fields in any letters, null as
/// nothing, an empty file as an empty one, and nothing after the first value.
struct Config {
    /// For messages.
    name: String,
    auths: Map<String, Value>,
    store: Option<String>,
    helpers: Map<String, Value>,
}

/// A field by its name in any letters, if there is something in it.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let exact = fields.get(name).or_else(|| Some(fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1));
    exact.filter(|value| !value.is_null())
}

impl Config {
    fn read(name: &str, bytes: &[u8]) -> Result<Self, ImageError> {
        // Not in the reader's words: they quote what it could not read, and passwords are in there.
        let wrong = |what: String| refused(format!("{name} is not a Docker configuration")).evidence(what);
        let first = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().next();
        let document =
            first.transpose().map_err(|error| wrong(format!("line {}, column {}", error.line(), error.column())))?;
        let fields = match document {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(wrong("it is not a mapping".to_owned())),
        };
        let mapping = |field_name: &str| match field(&fields, field_name) {
            None => Ok(Map::new()),
            Some(Value::Object(inner)) => Ok(inner.clone()),
            Some(_) => Err(wrong(format!("{field_name} is not a mapping"))),
        };
        let store = match field(&fields, "credsStore") {
            None => None,
            Some(Value::String(store)) => Some(store.clone()).filter(|store| !store.is_empty()),
            Some(_) => return Err(wrong("credsStore is not text".to_owned())),
        };
        Ok(Self { name: name.to_owned(), auths: mapping("auths")?, store, helpers: mapping("credHelpers")? })
    }

    /// A helper for this registry, then the one for all, then what is in the file.
    async fn find(&self, registry: &str) -> Result<Option<Credentials>, ImageError> {
        let keys = keys(registry);
        let own = keys.iter().find_map(|key| Some((key, self.helpers.get(key)?.as_str()?)));
        let own = own.filter(|(_, helper)| !helper.is_empty());
        let mut unanswered = None;
        if let Some((key, helper)) = own.or(self.store.as_deref().map(|store| (&keys[0], store))) {
            match ask(helper, key).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) if own.is_some() => return Err(error),
                // The one for all may be of another machine. It matters only if it was to know this registry.
                Err(error) => unanswered = Some(error),
            }
        }
        // As it is called, else whatever leads to the same host.
        let same = |known: &&String| keys.iter().any(|key| host(key) == host(known));
        let key = keys.iter().find(|key| self.auths.contains_key(*key)).or_else(|| self.auths.keys().find(same));
        let Some((key, entry)) = key.and_then(|key| Some((key, self.auths.get(key)?.as_object()?))) else {
            return Ok(None);
        };
        let text = |name: &str| field(entry, name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("registrytoken") {
            return Ok(Some(Credentials(Kind::Token(token.to_owned()))));
        }
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credentials(Kind::Identity(token.to_owned()))));
        }
        if let Some(auth) = text("auth") {
            let packed: String = auth.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
            let decoded = BASE64_STANDARD.decode(packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair =
                decoded.as_deref().and_then(|pair| pair.split_once(':')).filter(|(username, _)| !username.is_empty());
            let (username, password) = pair.ok_or_else(|| {
                refused(format!("what {} has for {key} is not a name and a password", self.name))
                    .fix(format!("docker login {registry}"))
            })?;
            return Ok(Some(Credentials::password(username, password.trim_matches('\0'))));
        }
        match (text("username"), unanswered) {
            (Some(username), _) => Ok(Some(Credentials::password(username, text("password").unwrap_or_default()))),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

/// What Docker calls a registry, first as it asks helpers for it.
fn keys(registry: &str) -> Vec<String> {
    if matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        return ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"]
            .map(str::to_owned)
            .into();
    }
    vec![registry.to_owned(), format!("https://{registry}"), format!("http://{registry}")]
}

/// Of a key, which may have a scheme and a path.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

async fn ask(helper: &str, key: &str) -> Result<Option<Credentials>, ImageError> {
    let program = format!("docker-credential-{helper}");
    let ended = group::run(&program, &[OsStr::new("get")], Some(key), PATIENCE).await?;
    if !ended.well {
        // Its way to say that it has none. What else it says is not shown: it may be a secret.
        if ended.stdout.contains("credentials not found") {
            return Ok(None);
        }
        return Err(refused(format!("{program} has no answer for {key}: {}", ended.how))
            .fix(format!("run it by hand: echo {key} | {program} get")));
    }
    let answer: Answer =
        serde_json::from_str(&ended.stdout).map_err(|_| refused(format!("the answer of {program} can't be read")))?;
    if answer.username == TOKEN {
        return Ok(Some(Credentials(Kind::Identity(answer.secret))));
    }
    Ok(Some(Credentials::password(answer.username, answer.secret)))
}

fn refused(message: String) -> ImageError {
    ImageError::new("credentials", ErrorKind::Environment, message)
}

#[cfg(test)]
mod tests;
