//! The closed list of problems (RFC 9457) that the API answers with. `docs/reference/problems.md` has one section for each;
//! a test compares the two.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, as programs tell it apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name on the wire: kebab-case and stable.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status that goes with it, always the same.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// The same few words each time.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

problems! {
    /// The request can't be understood at all.
    BadRequest = "bad-request", 400, "The request is malformed";
    /// The body is not JSON.
    MalformedJson = "malformed-json", 400, "The body is not valid JSON";
    /// No token, or one that is not valid (any more).
    Unauthorized = "unauthorized", 401, "A valid token is required";
    /// Wrong user name or password.
    InvalidCredentials = "invalid-credentials", 401, "User name or password is wrong";
    /// The token is valid and does not allow this.
    Forbidden = "forbidden", 403, "This token does not allow that";
    /// The current password that was given with a change is not the user's.
    WrongPassword = "wrong-password", 403, "The current password is wrong";
    /// No such route, or nothing there that the caller may see.
    NotFound = "not-found", 404, "Not found";
    /// The route exists, not for this method.
    MethodNotAllowed = "method-not-allowed", 405, "This method is not allowed here";
    /// The caller was too slow to send its request.
    RequestTimeout = "request-timeout", 408, "The request took too long to arrive";
    /// Another user has the name.
    UsernameTaken = "username-taken", 409, "The user name is taken";
    /// The user has a replacement that is not final yet.
    ReplacementOpen = "replacement-open", 409, "A replacement is already under way";
    /// The user has a task of the kind that is not final yet, and can have only one.
    TaskOpen = "task-open", 409, "A task of this kind is already under way";
    /// The task is in a status that does not allow this.
    NotDead = "not-dead", 409, "Only a dead task can be retried";
    /// The task has ended, and not by being cancelled.
    TaskFinal = "task-final", 409, "The task is final already";
    /// The body is larger than allowed.
    PayloadTooLarge = "payload-too-large", 413, "The body is too large";
    /// The body's content type is not JSON.
    UnsupportedMediaType = "unsupported-media-type", 415, "The body must be application/json";
    /// The request is well-formed and something in it is not acceptable.
    ValidationFailed = "validation-failed", 422, "Something in the request is not acceptable";
    /// The password is easy to guess.
    WeakPassword = "weak-password", 422, "The password is too easy to guess";
    /// The idempotency key was used with another request.
    IdempotencyMismatch = "idempotency-mismatch", 422, "The idempotency key was used for another request";
    /// Too many failed sign-ins.
    TooManyAttempts = "too-many-attempts", 429, "Too many failed attempts";
    /// The header is larger than allowed.
    HeadersTooLarge = "headers-too-large", 431, "The request's headers are too large";
    /// A defect in the platform.
    Internal = "internal", 500, "Something went wrong inside";
    /// Refused before it was accepted, because too much is under way.
    Overloaded = "overloaded", 503, "Too much is under way";
    /// This user holds its share of what all have together.
    UserShareUsed = "user-share-used", 503, "This user's share is used up";
    /// This address holds its share of what all have together.
    AddressShareUsed = "address-share-used", 503, "This address's share is used up";
    /// Nothing can be written until somebody makes room.
    DiskFull = "disk-full", 503, "A disk of the platform is full";
    /// A part that is needed does not answer.
    Unavailable = "unavailable", 503, "A part of the platform is unavailable";
    /// A write was under way when a part that is needed went away.
    OutcomeUnknown = "outcome-unknown", 503, "It is not known whether this was done";
    /// The platform is stopping.
    Stopping = "stopping", 503, "The platform is stopping";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

// By hand: the derive does not see names that come out of a macro.
impl utoipa::PartialSchema for Code {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

impl ToSchema for Code {}

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the name of a header or query parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same few words for each code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and what to do.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// What programs tell problems apart by.
    pub code: Code,
    /// Names this request in the logs.
    pub request_id: String,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// With `replacement-open`: the task that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_task: Option<crate::ids::TaskId>,
    /// With `task-final`: how the task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_status: Option<crate::tasks::Status>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_section_and_no_section_is_left_over() {
        let page = include_str!("../../docs/reference/problems.md");
        let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## `")).collect();
        let sections: Vec<_> = sections.iter().filter_map(|line| line.split('`').next()).collect();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(sections, codes, "docs/reference/problems.md has one section for each code, in this order");
    }

    #[test]
    fn the_wire_name_is_the_documented_one() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
