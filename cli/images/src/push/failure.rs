//! What a registry's refusal means.

use std::error::Error;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use crate::error::{ErrorKind, ImageError};

/// Whether the same request may go well in a moment.
pub(super) fn is_transient(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => status.as_u16() == 429 || status.is_server_error(),
            None => !error.is_builder() && !error.is_redirect(),
        },
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| error.code == OciErrorCode::Toomanyrequests)
        }
        OciDistributionError::IoError(_) => true,
        _ => false,
    }
}

/// The failure for people.
pub(crate) fn failure(host: &str, error: &OciDistributionError) -> ImageError {
    let status = match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().find_map(|error| status(&error.code))
        }
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => Some(401),
        OciDistributionError::ImageManifestNotFoundError(_) => Some(404),
        _ => None,
    };
    let unknown = |code, message: String| ImageError::new(code, ErrorKind::Unknown, message);
    match (status, error) {
        (Some(401 | 403), _) => unknown("registry-refused", format!("the registry {host} refuses"))
            .evidence(chain(error))
            .fix(format!(
                "docker login {host}, or set CARDCTL_REGISTRY_USERNAME and CARDCTL_REGISTRY_PASSWORD (or …_PASSWORD_FILE)"
            )),
        (Some(404), _) => unknown("not-in-registry", format!("the registry {host} does not have it"))
            .evidence(chain(error))
            .fix("cardctl images push"),
        (None, OciDistributionError::RequestError(_)) => {
            unknown("registry-unreachable", format!("the registry {host} can't be reached"))
                .evidence(chain(error))
                .fix("look at the name, the network and the registry's certificate, then try again")
        }
        _ => unknown("registry-failed", format!("the registry {host} failed"))
            .evidence(chain(error))
            .fix("try again; what arrived is not sent a second time"),
    }
}

/// The status that goes with a registry's own word.
fn status(code: &OciErrorCode) -> Option<u16> {
    match code {
        OciErrorCode::Unauthorized | OciErrorCode::Denied => Some(401),
        OciErrorCode::ManifestUnknown
        | OciErrorCode::ManifestBlobUnknown
        | OciErrorCode::BlobUnknown
        | OciErrorCode::NameUnknown
        | OciErrorCode::NotFound => Some(404),
        _ => None,
    }
}

/// With its causes: `error sending request` alone says nothing.
fn chain(error: &OciDistributionError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
