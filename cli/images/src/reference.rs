//! Names of images.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};

/// What comes before the name of an image: a word such as `cardctl`, or a registry with a path, `ghcr.io/ada/cards`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

/// `repository/name:tag`, with or without `@sha256:DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Repository and name, such as `cardctl/card-server`.
    pub name: String,
    /// Made from the digest: `sha-` and its first twelve digits.
    pub tag: String,
    /// Of the manifest, or of the index of several platforms.
    pub digest: Digest,
}

impl Default for Repository {
    fn default() -> Self {
        Self("cardctl".to_owned())
    }
}

impl Repository {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and port, if it begins with one as Docker tells them from a path: a dot, a colon, or `localhost`.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        registry(&self.0)
    }
}

fn registry(name: &str) -> Option<&str> {
    let first = name.split('/').next()?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

/// `host`, `host:port` or `[address]:port`.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port.strip_prefix(':')),
        Some(_) => return false,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    host.split('.').all(part) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// The name with its registry and `library/`, where Docker and Kubernetes leave them out.
#[must_use]
pub(crate) fn full(name: &str) -> String {
    match (registry(name), name.contains('/')) {
        (Some("index.docker.io"), _) => format!("docker.io/{}", name.trim_start_matches("index.docker.io/")),
        (Some(_), _) => name.to_owned(),
        (None, true) => format!("docker.io/{name}"),
        (None, false) => format!("docker.io/library/{name}"),
    }
}

impl FromStr for Repository {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let refused = |why: &str| {
            Err(ImageError::new("repository", ErrorKind::Usage, format!("{text:?} is not a repository: {why}"))
                .fix("use a name such as cardctl, or REGISTRY/PATH such as ghcr.io/ada/cards"))
        };
        if text.contains('@') {
            // Whatever is before it may be a password: it is not repeated.
            return Err(ImageError::new("repository", ErrorKind::Usage, "a repository can't contain @")
                .fix("give credentials by CARDCTL_REGISTRY_USERNAME and CARDCTL_REGISTRY_PASSWORD, or docker login"));
        }
        let host = registry(text);
        let path = host.map_or(text, |host| text[host.len()..].strip_prefix('/').unwrap_or_default());
        if let Some(host) = host {
            if !is_host(host) {
                return refused("the registry is not a host");
            }
            if text.len() == host.len() {
                return Ok(Self(host.to_owned()));
            }
        }
        let segment = |segment: &str| {
            let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
            let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let bytes = segment.as_bytes();
            outer(bytes.first()) && outer(bytes.last()) && bytes.iter().copied().all(inner)
        };
        if !path.split('/').all(segment) {
            return refused("a path is lower-case words with / between them");
        }
        Ok(Self(host.map_or_else(|| path.to_owned(), |host| format!("{host}/{path}"))))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Repository {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Reference {
    /// Of an image by this digest, tagged after it.
    #[must_use]
    pub fn new(repository: &Repository, name: &str, digest: &Digest) -> Self {
        Self { name: format!("{repository}/{name}"), tag: format!("sha-{}", digest.short()), digest: digest.clone() }
    }

    /// `name:tag`: what a runtime that was loaded knows it by.
    #[must_use]
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    /// `name@sha256:DIGEST`: what a registry gives nothing else for.
    #[must_use]
    pub fn pinned(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }

    /// `name:tag@sha256:DIGEST`, with the registry that Docker and Kubernetes leave out: what a pod is to run, whatever the tag
    /// means by then.
    #[must_use]
    pub fn exact(&self) -> String {
        format!("{}@{}", self.full(), self.digest)
    }

    /// `name:tag` with the registry that Docker and Kubernetes leave out.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}:{}", full(&self.name), self.tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repository_is_a_word_or_a_registry_with_a_path() {
        for text in ["cardctl", "a/b", "ghcr.io/ada/cards", "localhost:5000", "127.0.0.1:5000/x", "[::1]:5000/x"] {
            assert_eq!(text.parse::<Repository>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "Cards",
            "a//b",
            "/a",
            "a/",
            "-a",
            "https://x.y/z",
            "a b",
            "ghcr.io/a:tag",
            "cards:tag",
            "ghcr.io/",
            "a.b//c",
            "[x]:1/y",
        ] {
            assert_eq!(text.parse::<Repository>().unwrap_err().kind, ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn what_a_pod_is_to_run_is_said_by_digest() {
        let digest = Digest::of(b"manifest");
        let reference = Reference { name: "ada/cards".to_owned(), tag: "1".to_owned(), digest: digest.clone() };
        assert_eq!(reference.exact(), format!("docker.io/ada/cards:1@{digest}"));
    }

    #[test]
    fn a_password_in_a_repository_is_not_repeated() {
        let error = "ada:secret@ghcr.io/x".parse::<Repository>().unwrap_err();
        assert!(!format!("{error} {:?}", error.fix).contains("secret"), "{error}");
    }

    #[test]
    fn the_full_name_has_a_registry() {
        for (name, whole) in [
            ("x", "docker.io/library/x"),
            ("cardctl/card-server", "docker.io/cardctl/card-server"),
            ("docker.io/a/b", "docker.io/a/b"),
            ("index.docker.io/a/b", "docker.io/a/b"),
            ("localhost/a", "localhost/a"),
            ("h:1/a", "h:1/a"),
        ] {
            assert_eq!(full(name), whole);
        }
    }

    #[test]
    fn a_tag_comes_from_the_digest() {
        let reference = Reference::new(&Repository::default(), "card-server", &Digest::of(b""));
        assert_eq!(reference.tagged(), "cardctl/card-server:sha-e3b0c44298fc");
        assert!(reference.pinned().starts_with("cardctl/card-server@sha256:e3b0c44298fc1c"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_repository_or_refused(text in ".*") {
            if let Ok(repository) = text.parse::<Repository>() {
                prop_assert_eq!(repository.as_str().parse::<Repository>().unwrap(), repository);
            }
        }
    }
}
