//! Answers that are not the platform's: a gateway, a proxy or a balancer between here and there answered by itself.
//!
//! Told by two things, in this order: the status says that it is no success, and the body is no problem document of this
//! API with that status. Every refusal of the platform has one.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, SERVER};

/// No more of what a gateway calls itself is repeated.
const NAME_LIMIT: usize = 40;

/// What a proxy in front of the platform answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayAnswer {
    /// The platform that was asked for.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// What it calls itself, if it does; printable ASCII.
    pub by: Option<String>,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
}

impl GatewayAnswer {
    pub(super) fn new(url: &str, status: StatusCode, headers: &HeaderMap) -> Self {
        let by = headers.get(SERVER).and_then(|by| by.to_str().ok()).map(plain).filter(|by| !by.is_empty());
        Self { url: url.to_owned(), status: status.as_u16(), by, retry_after: super::retry_after::read(headers) }
    }

    /// A stable name to count by: `http-429`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        named(self.status)
    }

    /// Whether it says that there is too much to do: asking again at once makes that worse.
    #[must_use]
    pub const fn is_overload(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// Whether the same call later can help, and this one surely did not reach the platform.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.status, 408 | 425 | 429)
    }

    /// Whether the platform may have carried the call out all the same: a gateway says 502 to 504 of a platform that it
    /// did not reach as well as of one that it did not wait for.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        self.status >= 500
    }
}

impl fmt::Display for GatewayAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, status, by, .. } = self;
        write!(f, "{url} was answered by a proxy in front of the platform")?;
        if let Some(by) = by {
            write!(f, " ({by})")?;
        }
        write!(f, ": {status}")?;
        match StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason()) {
            Some(reason) => write!(f, " {reason}"),
            None => Ok(()),
        }
    }
}

/// A name of others, without what could act on a terminal or in a report.
fn plain(name: &str) -> String {
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || " ./-_+()".contains(*letter);
    name.chars().filter(allowed).take(NAME_LIMIT).collect::<String>().trim().to_owned()
}

macro_rules! statuses {
    ($($status:literal = $name:literal),* $(,)?) => {
        fn named(status: u16) -> &'static str {
            match status {
                $($status => $name,)*
                300..=399 => "http-3xx",
                400..=499 => "http-4xx",
                500..=599 => "http-5xx",
                _ => "http-other",
            }
        }
    };
}

// Names are counted by, so they have to live for ever; these are the statuses that gateways are known to send.
statuses! {
    301 = "http-301", 302 = "http-302", 303 = "http-303", 307 = "http-307", 308 = "http-308",
    400 = "http-400", 401 = "http-401", 402 = "http-402", 403 = "http-403", 404 = "http-404", 405 = "http-405",
    407 = "http-407", 408 = "http-408", 409 = "http-409", 410 = "http-410", 411 = "http-411", 413 = "http-413",
    414 = "http-414", 415 = "http-415", 421 = "http-421", 422 = "http-422", 425 = "http-425", 426 = "http-426",
    429 = "http-429", 431 = "http-431", 451 = "http-451", 494 = "http-494", 495 = "http-495", 496 = "http-496",
    497 = "http-497", 499 = "http-499", 500 = "http-500", 501 = "http-501", 502 = "http-502", 503 = "http-503",
    504 = "http-504", 505 = "http-505", 507 = "http-507", 508 = "http-508", 511 = "http-511", 520 = "http-520",
    521 = "http-521", 522 = "http-522", 523 = "http-523", 524 = "http-524", 525 = "http-525", 526 = "http-526",
    527 = "http-527", 529 = "http-529", 530 = "http-530", 561 = "http-561",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, by: &str) -> GatewayAnswer {
        let mut headers = HeaderMap::new();
        headers.insert(SERVER, by.parse().unwrap());
        GatewayAnswer::new("http://h:1", StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn it_says_who_answered_and_what() {
        let told = "http://h:1 was answered by a proxy in front of the platform (nginx/1.22.1): 429 Too Many Requests";
        assert_eq!(answer(429, "nginx/1.22.1").to_string(), told);
        assert_eq!(answer(599, "").to_string(), "http://h:1 was answered by a proxy in front of the platform: 599");
        assert_eq!(answer(429, "a<b>\"$`c").by.as_deref(), Some("abc"));
        assert_eq!(answer(429, &"x".repeat(500)).by.unwrap().len(), NAME_LIMIT);
    }

    #[test]
    fn every_status_is_named_by_itself_or_by_its_class() {
        for status in 300..600_u16 {
            let (name, own) = (named(status), format!("http-{status}"));
            assert!(name == own || name == format!("http-{}xx", status / 100), "{status}: {name}");
        }
        assert_eq!(
            (named(429), named(502), named(599), named(999)),
            ("http-429", "http-502", "http-5xx", "http-other")
        );
    }

    #[test]
    fn what_the_platform_may_have_done_is_unknown_and_what_it_surely_did_not_is_not() {
        let of = |status| {
            let answer = answer(status, "");
            (answer.is_retryable(), answer.is_unknown(), answer.is_overload())
        };
        assert_eq!(of(429), (true, false, true));
        assert_eq!(of(503), (false, true, true));
        for status in [500, 502, 504, 520, 599] {
            assert_eq!(of(status), (false, true, false), "{status}");
        }
        for status in [302, 400, 401, 403, 404, 407, 413] {
            assert_eq!(of(status), (false, false, false), "{status}");
        }
    }
}
