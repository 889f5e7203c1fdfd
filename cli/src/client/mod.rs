//! The command line's way to the platform: the client of `card_loadtests`, found and with its errors in the shape of
//! every other failure.

mod failures;
mod hint;

pub use card_client::events::{Events, Follower, Notice, Scope, StreamLost};
pub use card_client::{
    Accept, Behaviour, Bulk, BulkFilter, BulkPace, Caller, Client, ClientError, DeadLetterGroup, DeadLetterGroups,
    Known, Order, PurchasePage, PurchaseQuery, Readiness, Refused, SyntheticUser, TaskQuery, Token,
    raise_connection_limit,
};
use card_core::problem::Code;

pub use self::hint::{command, quote, words};

use crate::context::{Context, Endpoint};
use crate::failure::Failure;

/// A client of the platform that the command line means, with the operator's token if it is known.
///
/// # Errors
/// Nothing runs here, or the address can't be used.
pub async fn connect(context: &Context) -> Result<Client, Failure> {
    client(&context.endpoint().await?)
}

/// A client of a platform.
///
/// # Errors
/// The address can't be used.
pub fn client(endpoint: &Endpoint) -> Result<Client, Failure> {
    // What it came to matters to a load alone.
    let _ = raise_connection_limit();
    Ok(to(&endpoint.base_url, endpoint)?)
}

/// A client of an address of a platform, with its operator's token.
///
/// # Errors
/// The address can't be used, or the token may not go there.
pub fn to(url: &str, endpoint: &Endpoint) -> Result<Client, ClientError> {
    let token = endpoint.operator_token.as_ref().map(|token| Token::new(token.expose()));
    Client::with(url, token, &endpoint.plain_http)
}

/// A client of the platform's issuer, if it is known where that is.
///
/// # Errors
/// The address can't be used.
pub fn issuer(endpoint: &Endpoint) -> Result<Option<Client>, Failure> {
    Ok(endpoint.issuer_url.as_ref().map(|url| to(url, endpoint)).transpose()?)
}

/// Whether an error says that there is no such thing (or nothing that the caller may see).
#[must_use]
pub fn is_not_found(error: &ClientError) -> bool {
    error.code() == Some(Code::NotFound)
}
