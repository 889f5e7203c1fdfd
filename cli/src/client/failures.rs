//! What a call's error means for the person at the terminal.

use card_client::events::StreamLost;
use card_client::{ClientError, GatewayAnswer, LocalFault};
use card_core::problem::{Code, Problem};

use crate::failure::Failure;
use card_core::exit::Exit;

const TOKEN_FIX: &str =
    "export CARDCTL_OPERATOR_TOKEN, or CARDCTL_OPERATOR_TOKEN_FILE with the path of a file that holds it";

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Unreachable { .. } => Self::new("unreachable", Exit::Unknown, message).fix("cardctl status"),
            ClientError::NoAnswer { .. } => Self::new("no-answer", Exit::Unknown, message).fix("cardctl status"),
            ClientError::PlainHttp { host } => {
                let fix = format!(
                    "use an https:// address; or, if you trust the network to it: --plain-http {host}, or CARDCTL_PLAIN_HTTP={host}"
                );
                Self::new("plain-http", Exit::NotReady, message).fix(fix)
            }
            ClientError::NoOperatorToken => Self::new("no-operator-token", Exit::Unknown, message).fix(TOKEN_FIX),
            ClientError::Protocol { .. } => Self::new("protocol", Exit::Unknown, message)
                .fix("check that --target (or the target in the settings) is a card platform of this version"),
            ClientError::Gateway(answer) => Self::new("gateway", Exit::Unknown, message).fix(around(&answer)),
            // What a machine can't do now is its environment; a name may also be a mistake.
            ClientError::Local { fault: LocalFault::Name, .. } => {
                Self::new("name-lookup", Exit::Unknown, message).fix(LocalFault::Name.fix())
            }
            ClientError::Local { fault, .. } => Self::new(fault.name(), Exit::NotReady, message).fix(fault.fix()),
            ClientError::Unauthorised(problem) => answered(&problem, Exit::Unknown).fix(TOKEN_FIX),
            ClientError::Refused { problem, retry_after } => {
                let failure = answered(&problem, exit(problem.code));
                match retry_after {
                    // Waiting makes no room.
                    _ if problem.code == Code::DiskFull => failure.fix("free space on the disk that holds the ledger"),
                    Some(wait) => failure.fix(format!("try again in {} s", wait.as_secs().max(1))),
                    None => failure,
                }
            }
        }
    }
}

/// What helps against something that answers in the platform's place.
fn around(answer: &GatewayAnswer) -> String {
    if let Some(wait) = answer.retry_after {
        return format!("try again in {} s", wait.as_secs().max(1));
    }
    match answer.status {
        429 => "send more slowly, or set --target to an address that does not limit requests",
        401 | 403 | 407 | 511 => {
            "a proxy in front of the platform asks for a login; set --target to an address that bypasses it"
        }
        300..=399 => "set --target to the address that it redirects to",
        502..=504 | 520..=599 => {
            "check that the proxy in front of the platform can reach it, and that the platform is running"
        }
        _ => "check that --target (or the target in the settings) is a card platform of this version",
    }
    .to_owned()
}

impl From<StreamLost> for Failure {
    fn from(lost: StreamLost) -> Self {
        match lost.refusal {
            Some(refusal) => refusal.into(),
            None => Self::new("stream-lost", Exit::Unknown, lost.to_string()).fix("cardctl status"),
        }
    }
}

fn answered(problem: &Problem, exit: Exit) -> Failure {
    // The detail is a whole sentence about this case; the title is the same few words each time. Where there are errors,
    // they say it, and the detail only names their field.
    let is_told = problem.detail.is_empty() || !problem.errors.is_empty();
    let message = if is_told { &problem.title } else { &problem.detail };
    let mut failure = Failure::new(problem.code.as_str(), exit, message.trim_end_matches('.'));
    for error in &problem.errors {
        failure = failure.evidence(format!("{}: {}", error.pointer, error.detail));
    }
    if let Some(open) = problem.open_task {
        failure = failure.evidence(format!("open task: {open}"));
    }
    failure.evidence(format!("request: {}", problem.request_id))
}

fn exit(code: Code) -> Exit {
    match code {
        Code::BadRequest | Code::MalformedJson | Code::ValidationFailed => Exit::Usage,
        Code::Overloaded | Code::UserShareUsed | Code::AddressShareUsed => Exit::NotReady,
        Code::Unavailable | Code::DiskFull | Code::Stopping => Exit::NotReady,
        // The platform says no to what was asked, for a reason that is in the message.
        Code::NotDead | Code::TaskFinal | Code::ReplacementOpen | Code::TaskOpen => Exit::NotReady,
        Code::UsernameTaken | Code::IdempotencyMismatch => Exit::NotReady,
        _ => Exit::Unknown,
    }
}
