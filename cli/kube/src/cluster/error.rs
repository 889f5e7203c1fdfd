//! Why a cluster was not used, or did not do what it was asked.

use std::path::PathBuf;
use std::time::Duration;

use kube::core::Status;

use super::connection::{LoginError, Proxy, Silent};
use super::{Call, Identity, reason};

/// Each says what is known; [`ClusterError::fix`] says what helps.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    #[error("there is no kubeconfig: looked at {}", paths(looked))]
    NoKubeconfig { looked: Vec<PathBuf> },
    #[error("the kubeconfig {} can't be used: {reason}", path.display())]
    Kubeconfig { path: PathBuf, reason: String },
    #[error("no kubeconfig context is given")]
    NoContext { known: Vec<String>, current: Option<String> },
    #[error("the kubeconfig has no context {asked:?}")]
    UnknownContext { asked: String, known: Vec<String> },
    #[error("the context {context:?} can't be used: {reason}")]
    Unusable { context: String, reason: String },
    #[error("the context {context:?} is not local ({server}: {why}), and it was not allowed by name")]
    NotAllowed { context: String, server: String, why: String },
    #[error("{server} can't be reached: {reason}")]
    Unreachable { server: String, reason: String },
    #[error("{server} did not answer within {} s", after.as_secs_f32())]
    Timeout { server: String, after: Duration },
    #[error("no secure connection with {server}: {reason}")]
    Tls { server: String, reason: String },
    #[error("{server} does not take the client's certificate of the kubeconfig: {reason}")]
    ClientCertificate { server: String, reason: String },
    #[error("logging in to {server} failed: {reason}")]
    Login { server: String, reason: String, fix: Option<String> },
    #[error("{server} rejected the credentials: {message}")]
    Unauthorised { server: String, message: String },
    #[error("not allowed to {verb} {resource}{}: {message}", within(namespace))]
    Forbidden { verb: &'static str, resource: String, namespace: Option<String>, message: String },
    #[error("the cluster has changed: it was {was}, it is {is}")]
    Changed { was: Identity, is: Identity },
    #[error("the kubeconfig's context {context:?} has changed: it was {was}, it is {is}")]
    ContextChanged { context: String, was: String, is: String },
    #[error("{server} answered {code}: {}", status.message)]
    Refused { server: String, code: u16, status: Box<Status> },
    #[error("unexpected answer from {server}: {reason}")]
    Nonsense { server: String, reason: String },
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn within(namespace: &Option<String>) -> String {
    namespace.as_ref().map(|namespace| format!(" in the namespace {namespace}")).unwrap_or_default()
}

impl ClusterError {
    /// Whether the same call may work in a moment.
    #[must_use]
    pub fn again_helps(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Refused { code, .. } => matches!(code, 429 | 500..),
            _ => false,
        }
    }

    /// What helps.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::NoKubeconfig { .. } => "start a cluster (`minikube start`), or set KUBECONFIG".to_owned(),
            Self::NoContext { known, current } => {
                let likely = current.as_ref().or(known.first())?;
                format!("choose one: --context {likely} (known: {})", known.join(", "))
            }
            Self::UnknownContext { known, .. } => format!("there are: {}", known.join(", ")),
            Self::NotAllowed { context, .. } => format!("to allow it: --allow-context {context}"),
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "check that the cluster runs: `kubectl cluster-info`".to_owned()
            }
            Self::Tls { .. } => {
                "the server's certificate does not match the kubeconfig; download the kubeconfig again".to_owned()
            }
            Self::ClientCertificate { .. } => {
                "download the kubeconfig again; a client certificate of your own must be signed by the cluster's CA and be valid \
                 now, and some servers require X.509 version 3: openssl x509 -req -extfile FILE"
                    .to_owned()
            }
            Self::Login { fix: Some(fix), .. } => fix.clone(),
            Self::Login { .. } | Self::Unauthorised { .. } => "log in again, or download the kubeconfig again".to_owned(),
            Self::Forbidden { verb, resource, namespace, .. } => match namespace {
                Some(namespace) => {
                    format!("ask for the permission; check with `kubectl auth can-i {verb} {resource} -n {namespace}`")
                }
                None => format!("ask for the permission; check with `kubectl auth can-i {verb} {resource}`"),
            },
            Self::Changed { .. } | Self::ContextChanged { .. } => {
                "nothing more was written; run the command again to use the new one".to_owned()
            }
            Self::Kubeconfig { .. } | Self::Unusable { .. } | Self::Refused { .. } | Self::Nonsense { .. } => {
                return None;
            }
        })
    }

    /// Whether the cluster said it, and no way to it failed. One part of it that is too slow says nothing of the others.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Forbidden { .. }
                | Self::Unauthorised { .. }
                | Self::Nonsense { .. }
                | Self::Timeout { .. }
        )
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }

    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }
}

/// Of an answer that is no success.
pub(super) fn of_status(code: u16, status: Status, call: &Call, server: &str) -> ClusterError {
    match code {
        401 => ClusterError::Unauthorised { server: server.to_owned(), message: status.message },
        // 403 is also what admission says (quota, pod security, a namespace that ends); of the two only the authoriser's
        // names a user who "cannot". There is no field that tells them apart.
        403 if status.message.contains("\" cannot ") => ClusterError::Forbidden {
            verb: call.verb,
            resource: call.resource.clone(),
            namespace: call.namespace.clone(),
            message: status.message,
        },
        _ => {
            let mut status = status;
            if status.message.trim().is_empty() {
                let usual = http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason());
                status.message = usual.unwrap_or("without a reason").to_owned();
            }
            ClusterError::Refused { server: server.to_owned(), code, status: Box::new(status) }
        }
    }
}

/// Of whoever was to say who asks.
pub(super) fn of_login(error: LoginError, server: &str) -> ClusterError {
    ClusterError::Login { server: server.to_owned(), reason: error.reason, fix: error.fix }
}

/// Of a request that got no answer: told apart by the types in the chain, not by their texts.
pub(super) fn of_client(error: &kube::Error, server: &str, proxy: Option<&Proxy>) -> ClusterError {
    let server = server.to_owned();
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = at {
        if let Some(login) = cause.downcast_ref::<LoginError>() {
            return of_login(login.clone(), &server);
        }
        if let Some(Silent(after)) = cause.downcast_ref() {
            return ClusterError::Timeout { server, after: *after };
        }
        if let Some(tls) = tls(cause) {
            return of_tls(tls, server, proxy);
        }
        at = cause.source();
    }
    ClusterError::Unreachable { server, reason: through(proxy, reason(error)) }
}

/// What went wrong on a way of two parts, either of which it may have been.
fn through(proxy: Option<&Proxy>, reason: String) -> String {
    match proxy {
        Some(proxy) => format!("through the proxy {proxy}: {reason}"),
        None => reason,
    }
}

/// An error of input and output hides the one that it wraps from `source`, sometimes one in another.
fn tls<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(inner) = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        return tls(inner);
    }
    cause.downcast_ref()
}

fn of_tls(error: &rustls::Error, server: String, proxy: Option<&Proxy>) -> ClusterError {
    use rustls::AlertDescription as Alert;
    match error {
        // What the server says of what it was shown.
        rustls::Error::AlertReceived(
            alert @ (Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired),
        ) => ClusterError::ClientCertificate { server, reason: format!("it answers {alert:?}") },
        rustls::Error::InvalidCertificate(reason) if format!("{reason:?}").contains("UnsupportedCertVersion") => {
            let reason = "the server's certificate is of X.509 version 1, which has no names of hosts".to_owned();
            ClusterError::Tls { server, reason }
        }
        other => ClusterError::Tls { server, reason: through(proxy, other.to_string()) },
    }
}
