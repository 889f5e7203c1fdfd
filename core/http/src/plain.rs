//! Consent: where a secret may go without TLS.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use super::host::{host, is_this_machine};

/// The hosts to which the user lets secrets go without TLS: a network of their own, such as a cluster's. To this machine
/// itself they always may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainHttp(Vec<String>);

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoHost;

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a host alone, such as 192.168.49.2 or server, or several with commas between")
    }
}

impl std::error::Error for NoHost {}

impl PlainHttp {
    /// Nowhere but to this machine.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self(Vec::new())
    }

    /// To the host of this address too.
    #[must_use]
    pub fn and(mut self, url: &Url) -> Self {
        if !self.lets(url) {
            self.0.push(host(url).to_owned());
        }
        self
    }

    /// Whether a secret may go there: with TLS, to this machine, or where it was allowed.
    #[must_use]
    pub fn lets(&self, url: &Url) -> bool {
        let is_allowed = || self.0.iter().any(|allowed| allowed == host(url));
        url.scheme() == "https" || is_this_machine(url) || is_allowed()
    }
}

impl FromStr for PlainHttp {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        // As an address has it: in small letters, an IP address in its one form.
        let one = |part: &str| {
            let bare = part.trim_matches(['[', ']']);
            let part = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
            let url = Url::parse(&format!("http://{part}/")).map_err(|_| NoHost)?;
            // Nothing else that an address may have, and no `*`: each host is named.
            let is_alone = bare.chars().all(|letter| letter.is_alphanumeric() || ".-_:".contains(letter));
            if is_alone && url.port().is_none() { Ok(host(&url).to_owned()) } else { Err(NoHost) }
        };
        parts.map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// As it is read.
impl fmt::Display for PlainHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}
