//! Names of images.

use std::fmt;

/// A reference such as `registry.example/cards/card-server:1.2@sha256:DIGEST`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// With its registry, if it names one.
    pub name: String,
    /// After the colon.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Image {
    /// Takes a reference apart. None if it is none.
    #[must_use]
    pub fn parse(reference: &str) -> Option<Self> {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        // A colon before the last slash belongs to the port of a registry.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let image = Self { name: name.to_owned(), tag: tag.map(Into::into), digest: digest.map(Into::into) };
        let is_good = is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
        is_good.then_some(image)
    }

    /// Whether it means the same bytes for ever: by a digest, or by the tag that `cardctl images build` makes of one.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        let by_content = |tag: &String| {
            tag.strip_prefix("sha-").is_some_and(|hex| hex.len() == 12 && hex.bytes().all(is_hexadecimal))
        };
        self.digest.is_some() || self.tag.as_ref().is_some_and(by_content)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let (first, path) = name.split_once('/').unwrap_or(("", name));
    // A registry may have capital letters and a port, a path may not.
    let is_host = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_[]".contains(&byte));
    let is_part = |part: &str| {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        part.bytes().all(good) && edge(part.bytes().next()) && edge(part.bytes().last())
    };
    is_host(first) && path.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(good) && !tag.starts_with(['.', '-'])
}

pub(crate) fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hexadecimal))
}

const fn is_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f";

    #[test]
    fn a_reference_is_taken_apart_and_put_together_again() {
        for (text, name, tag, digest) in [
            ("card-server".to_owned(), "card-server", None, None),
            ("localhost:5000/cards/card-server".to_owned(), "localhost:5000/cards/card-server", None, None),
            ("localhost:5000/card-server:1.2".to_owned(), "localhost:5000/card-server", Some("1.2"), None),
            (format!("postgres:17@{DIGEST}"), "postgres", Some("17"), Some(DIGEST)),
            (format!("ghcr.io/a/b@{DIGEST}"), "ghcr.io/a/b", None, Some(DIGEST)),
        ] {
            let image = Image::parse(&text).unwrap();
            assert_eq!((image.name.as_str(), image.tag.as_deref(), image.digest.as_deref()), (name, tag, digest));
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_none() {
        for text in ["", ":1", "a:", "a@", "a@sha256:12", "UPPER", "a//b", "a b", "a:b:c", "-a", "http://a/b", "a:.x"] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
    }

    #[test]
    fn pinned_is_what_means_the_same_bytes_for_ever() {
        let pinned = |text: &str| Image::parse(text).unwrap().is_pinned();
        assert!(pinned(&format!("a@{DIGEST}")) && pinned("cardctl/card-server:sha-0123456789ab"));
        assert!(!pinned("a") && !pinned("a:1.2") && !pinned("a:sha-0123") && !pinned("a:latest"));
    }

    proptest! {
        #[test]
        fn anything_is_a_reference_or_none(text in "\\PC{0,80}") {
            if let Some(image) = Image::parse(&text) {
                prop_assert_eq!(image.to_string(), text);
            }
        }
    }
}
