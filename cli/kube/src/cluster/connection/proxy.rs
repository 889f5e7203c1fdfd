//! Whether a cluster is reached through a proxy, and through which.
//!
//! As `kubectl` decides it: `proxy-url` of the kubeconfig counts always; `HTTPS_PROXY` (`HTTP_PROXY` for a server without TLS)
//! only for what is not on this machine and not in `NO_PROXY`.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

use super::Server;
use crate::cluster::kubeconfig::is_this_machine;

/// Without the name and the password where it is shown.
#[derive(Clone)]
pub(in crate::cluster) struct Proxy {
    pub(super) uri: Uri,
    pub(super) speaks: Speaks,
    /// A name and a password.
    pub(super) login: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// `CONNECT`, over plain TCP.
    Http,
    /// `CONNECT`, over TLS.
    Https,
    /// Version 5; the proxy looks up names.
    Socks,
}

impl Proxy {
    /// The one for a server.
    ///
    /// # Errors
    /// The one that is named can't be used. The sentence says by whom it is named.
    pub(in crate::cluster) fn choose(
        server: &Server,
        own: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        if !own.is_empty() {
            return Self::parse(own, "proxy-url").map(Some);
        }
        let either = |upper: &'static str, lower: &'static str| {
            [upper, lower].into_iter().find_map(|name| Some((name, variable(name).filter(|text| !text.is_empty())?)))
        };
        let named =
            if server.is_tls() { either("HTTPS_PROXY", "https_proxy") } else { either("HTTP_PROXY", "http_proxy") };
        let Some((name, text)) = named else { return Ok(None) };
        let exempt =
            either("NO_PROXY", "no_proxy").is_some_and(|(_, list)| is_exempt(&list, server.host(), server.port()));
        if is_this_machine(server.host()) || exempt {
            return Ok(None);
        }
        let text = if text.contains("://") { text } else { format!("http://{text}") };
        Self::parse(&text, name).map(Some)
    }

    /// # Errors
    /// It is none that can be used.
    pub(in crate::cluster) fn parse(text: &str, by: &str) -> Result<Self, String> {
        let refused =
            || format!("{by} is not a proxy such as http://proxy.example.com:3128 or socks5://127.0.0.1:1080");
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(refused)?;
        let (speaks, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Speaks::Http, 80),
            "https" => (Speaks::Https, 443),
            "socks5" | "socks5h" => (Speaks::Socks, 1080),
            _ => return Err(refused()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let login = login.map(|login| login.split_once(':').unwrap_or((login, "")));
        let login = login.map(|(name, password)| (unescaped(name), unescaped(password)));
        let place: Authority = place.parse().map_err(|_| refused())?;
        if place.host().is_empty() {
            return Err(refused());
        }
        let port = match place.as_str().strip_prefix(place.host()).unwrap_or_default() {
            "" => port,
            text => text
                .strip_prefix(':')
                .and_then(|text| text.parse().ok())
                .filter(|port| *port > 0)
                .ok_or_else(refused)?,
        };
        let scheme = if speaks == Speaks::Https { "https" } else { "http" };
        let uri =
            Uri::builder().scheme(scheme).authority(format!("{}:{port}", place.host())).path_and_query("/").build();
        Ok(Self { uri: uri.map_err(|_| refused())?, speaks, login })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.speaks {
            Speaks::Http => "http",
            Speaks::Https => "https",
            Speaks::Socks => "socks5",
        };
        write!(f, "{scheme}://{}", self.uri.authority().map_or("", Authority::as_str))
    }
}

/// Whether `NO_PROXY` names a host: `*`, an address, a range of addresses, a domain with all below it, or, with a dot before it,
/// only what is below it; each perhaps with a port.
fn is_exempt(list: &str, host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let address: Option<IpAddr> = host.parse().ok().map(|address: IpAddr| address.to_canonical());
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return address.is_some_and(|address| is_within(address, network, bits));
        }
        let (name, wanted) = with_port(&entry);
        if wanted.is_some_and(|wanted| wanted != port) || name.is_empty() {
            return false;
        }
        if let Ok(named) = name.parse::<IpAddr>() {
            return address == Some(named.to_canonical());
        }
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        match name.strip_prefix('.') {
            Some(_) => host.ends_with(name),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

fn with_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(inside) = entry.strip_prefix('[') {
        let (name, rest) = inside.split_once(']').unwrap_or((inside, ""));
        return (name, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.rsplit_once(':') {
        // More than one colon is an address of version 6.
        Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
        _ => (entry, None),
    }
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let same =
        |one: u128, other: u128, size: u32| bits <= size && (one ^ other).checked_shr(size - bits).unwrap_or(0) == 0;
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(one.to_bits().into(), other.to_bits().into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
        _ => false,
    }
}

/// Without percent escapes.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(server: &str, own: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let server = Server::parse(server).unwrap();
        let variable = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        Ok(Proxy::choose(&server, own, &variable)?.map(|proxy| proxy.to_string()))
    }

    #[test]
    fn the_kubeconfig_counts_always_and_the_environment_not_for_this_machine() {
        let proxy = [("HTTPS_PROXY", "http://u:hunter2@proxy:3128"), ("http_proxy", "plain:1")];
        assert_eq!(chosen("https://a.example", "", &proxy).unwrap().as_deref(), Some("http://proxy:3128"));
        assert_eq!(chosen("http://a.example", "", &proxy).unwrap().as_deref(), Some("http://plain:1"));
        for server in ["https://127.0.0.1:6443", "https://[::1]:6443", "https://localhost", "https://0.0.0.0:6443"] {
            assert_eq!(chosen(server, "", &proxy), Ok(None), "{server}");
            assert!(chosen(server, "socks5://s", &proxy).unwrap().is_some());
        }
        assert_eq!(chosen("https://a.example", "", &[]), Ok(None));
        assert_eq!(
            chosen("https://a.example", "", &[("HTTPS_PROXY", ""), ("https_proxy", "p")]).unwrap().as_deref(),
            Some("http://p:80")
        );
        let all = [proxy[0], ("NO_PROXY", "*")];
        assert_eq!(chosen("https://a.example", "socks5h://s:1", &all).unwrap().as_deref(), Some("socks5://s:1"));
        for wrong in ["ftp://hunter2", "hunter2", "http://", "http://hunter2:0", "socks4://hunter2"] {
            let reason = chosen("https://a.example", wrong, &[]).unwrap_err();
            assert!(reason.starts_with("proxy-url is not a proxy") && !reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_ranges_and_ports() {
        for (list, server, exempt) in [
            ("*", "https://a.example", true),
            ("b, a.example ,c", "https://a.example", true),
            ("example", "https://a.example", true),
            ("ample", "https://a.example", false),
            (".a.example", "https://a.example", false),
            (".example", "https://A.Example", true),
            ("*.example", "https://a.example", true),
            ("a.example:6443", "https://a.example:6443", true),
            ("a.example:443", "https://a.example", true),
            ("a.example:1", "https://a.example", false),
            ("10.0.0.0/8", "https://10.1.2.3:6443", true),
            ("10.0.0.0/8", "https://11.1.2.3:6443", false),
            ("10.1.2.3", "https://10.1.2.3:6443", true),
            ("10.1.2.3:1", "https://10.1.2.3:6443", false),
            ("fd00::/8", "https://[fd00::1]:6443", true),
            ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
            ("fd00::1", "https://[fd00::1]:6443", true),
            ("0.0.0.0/0", "https://8.8.8.8", true),
            ("10.0.0.0/99,/,", "https://10.0.0.1", false),
            ("", "https://a.example", false),
        ] {
            let found = chosen(server, "", &[("HTTPS_PROXY", "p"), ("NO_PROXY", list)]).unwrap();
            assert_eq!(found.is_none(), exempt, "{list} {server}");
        }
    }

    proptest! {
        #[test]
        fn any_list_and_any_proxy_is_read_or_refused(list in "[a-z0-9.:/*,\\[\\] -]{0,40}", proxy in "\\PC{0,30}") {
            let _ = is_exempt(&list, "fd00::1", 443);
            let _ = is_exempt(&list, "10.0.0.1", 443);
            let _ = Proxy::parse(&proxy, "x");
            let _ = Proxy::parse(&format!("http://{proxy}"), "x");
        }
    }
}
