//! Why a call gave no result, told apart by what the caller can do about it.

use std::time::Duration;

use card_core::problem::{Code, Problem};

use crate::gateway::GatewayAnswer;
use crate::local::LocalFault;

/// The error of every call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there. The request was not carried out.
    #[error("{url} can't be reached: {detail}")]
    Unreachable {
        url: String,
        /// What the network said.
        detail: String,
    },
    /// The request was sent and no (whole) answer came: it is not known whether it was carried out.
    #[error("no answer from {url}: {detail}")]
    NoAnswer {
        url: String,
        /// What the network said.
        detail: String,
    },
    /// No token, or one that is not valid.
    #[error("{}: {}", .0.title, .0.detail)]
    Unauthorised(Box<Problem>),
    /// Any other problem that the API answered with.
    #[error("{}: {}", .problem.title, .problem.detail)]
    Refused {
        /// What it said.
        problem: Box<Problem>,
        /// When it may be tried again.
        retry_after: Option<Duration>,
    },
    /// The answer is not what this API answers: something else listens there, or another version.
    #[error("unexpected answer from {url}: {detail}")]
    Protocol {
        url: String,
        /// What was wrong with it.
        detail: String,
    },
    /// Something between here and the platform answered by itself: a refusal by its status alone.
    #[error("{0}")]
    Gateway(Box<GatewayAnswer>),
    /// This machine lacks what it takes to ask.
    #[error("this machine can't send to {url}: {} ({detail})", fault.in_words())]
    Local {
        url: String,
        /// What it lacks.
        fault: LocalFault,
        /// Whether something had been sent before.
        sent: bool,
        /// What the system said.
        detail: String,
    },
    /// The operator's token would leave this machine without TLS, and nobody said that it may.
    #[error("the operator's token is not sent to {host} without TLS, because anyone on the network path could read it")]
    PlainHttp { host: String },
    /// There is no operator token for a call that needs one.
    #[error("the operator's token is required")]
    NoOperatorToken,
}

impl ClientError {
    /// The problem that the API answered with, if it did.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Unauthorised(problem) | Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The problem's code, if the API answered with one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.problem().map(|problem| problem.code)
    }

    /// A stable name to count by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NoAnswer { .. } => "no-answer",
            Self::Protocol { .. } => "protocol",
            Self::Gateway(answer) => answer.name(),
            Self::Local { fault, .. } => fault.name(),
            Self::PlainHttp { .. } => "plain-http",
            Self::NoOperatorToken => "no-operator-token",
            Self::Unauthorised(problem) | Self::Refused { problem, .. } => problem.code.as_str(),
        }
    }

    /// Whether the same call later can help, and it is known that this one changed nothing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Gateway(answer) => answer.is_retryable(),
            Self::Local { sent, .. } => !sent,
            Self::Refused { problem, .. } => matches!(problem.status, 408 | 429 | 503) && !self.is_unknown(),
            _ => false,
        }
    }

    /// Whether the call may have been carried out although there is no answer. A 5xx other than 503 says as little
    /// as a cut connection, and so does a 2xx whose body can't be read, or a platform that does not know itself.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::Protocol { .. } => true,
            Self::Gateway(answer) => answer.is_unknown(),
            Self::Local { sent, .. } => *sent,
            Self::Refused { problem, .. } => {
                problem.code == Code::OutcomeUnknown || (problem.status >= 500 && problem.status != 503)
            }
            _ => false,
        }
    }

    /// How long the server asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Gateway(answer) => answer.retry_after,
            _ => None,
        }
    }

    /// Whether somebody has to make room before the same call can help.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.code() == Some(Code::DiskFull)
    }

    /// Whether an answer came that is not the platform's: by its status, or because no version of this API gives it.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::Gateway(_) | Self::Protocol { .. })
    }

    /// Whether whoever answered has too much to do.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Gateway(answer) => answer.is_overload(),
            Self::Refused { problem, .. } => matches!(problem.status, 429 | 503) && !self.is_unknown(),
            _ => false,
        }
    }

    /// What this machine lacked, if that is why.
    #[must_use]
    pub const fn local(&self) -> Option<LocalFault> {
        match self {
            Self::Local { fault, .. } => Some(*fault),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_that_does_not_know_is_asked_again_and_believed_nothing() {
        for (code, retryable, unknown) in [
            (Code::Unavailable, true, false),
            (Code::DiskFull, true, false),
            (Code::Overloaded, true, false),
            (Code::UserShareUsed, true, false),
            (Code::AddressShareUsed, true, false),
            (Code::OutcomeUnknown, false, true),
            (Code::Internal, false, true),
            (Code::ReplacementOpen, false, false),
        ] {
            let document = serde_json::json!({
                "type": "", "title": "", "status": code.status(), "detail": "", "instance": "", "code": code,
                "request_id": "",
            });
            let problem = Box::new(serde_json::from_value(document).unwrap());
            let error = ClientError::Refused { problem, retry_after: None };
            assert_eq!((error.is_retryable(), error.is_unknown()), (retryable, unknown), "{code}");
        }
    }
}
