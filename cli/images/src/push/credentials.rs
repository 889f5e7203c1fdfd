//! Who pushes: from the environment, or from where `docker login` keeps it. Never from a flag.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

use crate::error::{ErrorKind, ImageError};
use crate::group;

const USERNAME: &str = "CARDCTL_REGISTRY_USERNAME";
const PASSWORD: &str = "CARDCTL_REGISTRY_PASSWORD";
const PASSWORD_FILE: &str = "CARDCTL_REGISTRY_PASSWORD_FILE";
/// A helper may ask a keychain, which may ask its user.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a helper says instead of a name if it has no password but a token.
const TOKEN: &str = "<token>";

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Docker's `config.json`, as far as it is needed here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Credentials {
    pub(crate) fn auth(&self) -> RegistryAuth {
        RegistryAuth::Basic(self.username.clone(), self.password.clone())
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
                    .fix(format!("set {PASSWORD}, or let {PASSWORD_FILE} name a file that holds it")));
            }
        };
        return Ok(Some(Credentials { username, password }));
    }
    let home = || Some(PathBuf::from(variable("HOME")?).join(".docker"));
    let Some(dir) = variable("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home) else {
        return Ok(None);
    };
    let path = dir.join("config.json");
    let config = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<Config>(&bytes)
            .map_err(|error| refused(format!("{} is not Docker's configuration", path.display())).evidence(error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImageError::read(&path, &error)),
    };
    config.find(registry, &path.display().to_string()).await
}

impl Config {
    async fn find(&self, registry: &str, path: &str) -> Result<Option<Credentials>, ImageError> {
        let keys = keys(registry);
        if let Some((key, helper)) = keys.iter().find_map(|key| Some((key, self.cred_helpers.get(key)?))) {
            return ask(helper, key).await;
        }
        let Some((key, entry)) = keys.iter().find_map(|key| Some((key, self.auths.get(key)?))) else {
            return Ok(None);
        };
        match (entry.auth.as_deref().filter(|auth| !auth.is_empty()), &self.creds_store) {
            (Some(auth), _) => {
                let decoded = BASE64_STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
                let (username, password) = pair.ok_or_else(|| {
                    refused(format!("what {path} has for {key} is not a name and a password"))
                        .fix(format!("docker login {registry}"))
                })?;
                let password = password.trim_end_matches('\0').to_owned();
                Ok(Some(Credentials { username: username.to_owned(), password }))
            }
            (None, Some(store)) => ask(store, key).await,
            (None, None) => Ok(None),
        }
    }
}

/// What Docker may call a registry.
fn keys(registry: &str) -> Vec<String> {
    let mut names = vec![registry.to_owned(), format!("https://{registry}"), format!("http://{registry}")];
    if matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        names.extend(["https://index.docker.io/v1/", "index.docker.io", "docker.io"].map(str::to_owned));
    }
    names
}

async fn ask(helper: &str, key: &str) -> Result<Option<Credentials>, ImageError> {
    let program = format!("docker-credential-{helper}");
    let ended = group::run(&program, &[OsStr::new("get")], Some(key), PATIENCE).await?;
    if !ended.well {
        // Its way to say that it has none. What it says is not shown: it may be a secret.
        return Ok(None);
    }
    let answer: Answer = serde_json::from_str(&ended.stdout)
        .map_err(|_| refused(format!("what {program} answers is not understood")))?;
    if answer.username == TOKEN {
        return Err(refused(format!("{program} has a token for {key}, and only passwords can be used here"))
            .fix(format!("set {USERNAME} and {PASSWORD}")));
    }
    Ok(Some(Credentials { username: answer.username, password: answer.secret }))
}

fn refused(message: String) -> ImageError {
    ImageError::new("credentials", ErrorKind::Environment, message)
}

#[cfg(test)]
mod tests;
