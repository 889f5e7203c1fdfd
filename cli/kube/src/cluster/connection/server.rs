//! The address of an API server, as `kubectl` reads it.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// With a scheme, a host, perhaps a port and a path; never with a name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster) struct Server {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

impl Server {
    /// Without a scheme it is plain HTTP, whatever else the kubeconfig says of certificates.
    ///
    /// # Errors
    /// It is no address. The sentence does not repeat it.
    pub(in crate::cluster) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let refused = || "its server is not an address such as https://192.168.49.2:8443".to_owned();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::HTTPS, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::HTTP, rest),
            Some(_) => return Err("its server is neither https:// nor http://".to_owned()),
            None if text.contains('/') => return Err(refused()),
            None => (Scheme::HTTP, text),
        };
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest[..end].split_once('/').unwrap_or((&rest[..end], ""));
        if authority.contains('@') {
            return Err("its server has a name or a password in it; put them under users".to_owned());
        }
        let authority: Authority = authority.parse().map_err(|_| refused())?;
        let port = authority.as_str().strip_prefix(authority.host()).ok_or_else(refused)?;
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        if authority.host().trim_matches(['[', ']']).is_empty()
            || !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        {
            return Err(refused());
        }
        let path = format!("/{path}").trim_end_matches('/').to_owned();
        let server = Self { scheme, authority, path };
        server.uri(&Uri::from_static("/")).map(|_| server).ok_or_else(refused)
    }

    /// A path of the API as a whole address.
    pub(super) fn uri(&self, asked: &Uri) -> Option<Uri> {
        let asked = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        let whole = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        whole.path_and_query(format!("{}{asked}", self.path)).build().ok()
    }

    pub(in crate::cluster) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Without brackets.
    pub(in crate::cluster) fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        Server::parse(text).map(|server| server.to_string())
    }

    #[test]
    fn an_address_is_what_kubectl_takes() {
        for (text, is) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost", "http://localhost"),
            ("HTTPS://Example.com:6443/", "https://Example.com:6443"),
            ("https://rancher.example.com/k8s/clusters/c-1/", "https://rancher.example.com/k8s/clusters/c-1"),
            ("https://[::1]:6443", "https://[::1]:6443"),
            ("https://a.b/x?y=1#z", "https://a.b/x"),
        ] {
            assert_eq!(parsed(text).unwrap(), is);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in [
            "https://",
            "ftp://hunter2",
            "a/hunter2",
            "https://u:hunter2@h",
            "https://h:99999",
            "https://h:",
            "[]",
            "https://hunter2 x",
            ":1",
        ] {
            let reason = parsed(text).unwrap_err();
            assert!(!reason.contains("hunter2"), "{text}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in "\\PC{0,40}", scheme in "(https://|http://|)") {
            if let Ok(server) = parsed(&format!("{scheme}{text}")) {
                prop_assert!(server.starts_with("http"));
            }
        }
    }
}
