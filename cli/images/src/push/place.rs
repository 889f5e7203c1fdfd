//! Where to push: a registry and a path in it.

use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{ErrorKind, ImageError};
use crate::reference::Repository;

/// `REGISTRY/PATH`. HTTPS, or plain HTTP to this machine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// With the registry before the path.
    pub repository: Repository,
    /// Host and port.
    pub registry: String,
    /// Without TLS.
    pub is_plain: bool,
}

impl FromStr for Place {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let repository: Repository = rest.trim_end_matches('/').parse()?;
        let Some(registry) = repository.registry().map(str::to_owned) else {
            return Err(ImageError::new("repository", ErrorKind::Usage, format!("{repository} names no registry"))
                .fix(format!(
                    "add it before the path: ghcr.io/{repository}, docker.io/{repository}, localhost:5000/{repository}"
                )));
        };
        let is_loopback = is_loopback(&registry);
        let is_plain = match scheme {
            None => is_loopback,
            Some("https") => false,
            Some("http") if is_loopback => true,
            Some("http") => {
                return Err(ImageError::new(
                    "plain-http",
                    ErrorKind::Environment,
                    format!("{registry} is not on this machine, and credentials and images are not sent without TLS"),
                )
                .fix(format!("give the registry a certificate, then use {repository}")));
            }
            Some(scheme) => {
                return Err(ImageError::new("repository", ErrorKind::Usage, format!("no registry speaks {scheme}://")));
            }
        };
        Ok(Self { repository, registry, is_plain })
    }
}

/// Of `host`, `host:port`, `[address]:port`.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for (text, is_plain) in [
            ("localhost:5000/cards", true),
            ("127.0.0.1:5000/cards", true),
            ("http://127.8.0.1:5000/cards", true),
            ("https://localhost:5000/cards", false),
            ("ghcr.io/ada/cards", false),
            ("localhost.example.org/cards", false),
            ("127.0.0.1.example.org/cards", false),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().is_plain, is_plain, "{text}");
        }
        let error = "http://10.0.0.1:5000/cards".parse::<Place>().unwrap_err();
        assert_eq!((error.code, error.kind), ("plain-http", ErrorKind::Environment));
        for text in ["cards", "ftp://localhost/cards", "", "ada/cards"] {
            assert_eq!(text.parse::<Place>().unwrap_err().kind, ErrorKind::Usage, "{text}");
        }
    }
}
