//! Whose address a request counts for: failed sign-ins, and shares of what all clients have together.
//!
//! A header is believed as far as a proxy that the settings name has written it: the list is read from its end, and the
//! first address that is no such proxy's is the client. What a client has put there itself stands before that.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use card_core::settings::{ForwardedHeader, Networks, Server};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client that sent a request; handlers extract it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// What budgets and shares go by. Whoever has an IPv6 address has 2^64 of them, all in one /64.
    pub(crate) fn network(self) -> Network {
        Network(match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }
}

/// An IPv4 address, or the first address of an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Proxies that are believed, and the header that they write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    trusted: Networks,
    header: ForwardedHeader,
}

impl Proxies {
    pub(crate) fn new(server: &Server) -> Self {
        Self { trusted: server.trusted_proxies.clone(), header: server.forwarded_header }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contain(address)
    }

    /// Finds the client, from the address of the connection's other end and the headers of the request. Every use goes
    /// through here.
    pub(crate) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        // The same client whether it came by IPv4 or by IPv4 inside of IPv6.
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return ClientAddress(client);
        }
        let (name, address_of): (HeaderName, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ForwardedHeader::Forwarded => (header::FORWARDED, forwarded_for),
        };
        let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // Text that is no address says nothing, and nothing before it does either.
            let Some(address) = address_of(hop.trim()) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        ClientAddress(client)
    }
}

/// An address with or without a port, an IPv6 one in brackets if it has one.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239). No quoted address has a comma or a semicolon in it.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"'))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies(trusted: &str, header: ForwardedHeader) -> Proxies {
        Proxies { trusted: trusted.parse().unwrap(), header }
    }

    fn client(proxies: &Proxies, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        proxies.client_address(peer.parse().unwrap(), &headers).0.to_string()
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_listener_keeps_its_address() {
        assert_eq!(client(&Proxies::default(), "::ffff:192.0.2.7", &[]), "192.0.2.7");
    }

    #[test]
    fn a_header_is_believed_from_a_trusted_proxy_alone() {
        let given = [("x-forwarded-for", "203.0.113.9")];
        assert_eq!(client(&Proxies::default(), "10.0.0.1", &given), "10.0.0.1");
        let proxies = proxies("10.0.0.0/8, 127.0.0.1", ForwardedHeader::XForwardedFor);
        assert_eq!(client(&proxies, "192.0.2.1", &given), "192.0.2.1");
        assert_eq!(client(&proxies, "10.0.0.1", &given), "203.0.113.9");
        assert_eq!(client(&proxies, "::ffff:127.0.0.1", &given), "203.0.113.9");
        assert_eq!(client(&proxies, "10.0.0.1", &[("forwarded", "for=203.0.113.9")]), "10.0.0.1", "not its header");
        assert_eq!(client(&proxies, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_client_wrote_itself_stands_before_what_the_proxy_wrote() {
        let proxies = proxies("10.0.0.0/8", ForwardedHeader::XForwardedFor);
        for (lines, expected) in [
            (&["1.1.1.1, 203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            (&["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            (&["203.0.113.9, unknown, 10.2.2.2"], "10.2.2.2"),
            (&["1.1.1.1, garbage"], "10.0.0.1"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(client(&proxies, "10.0.0.1", &lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_the_other() {
        let proxies = proxies("10.0.0.0/8", ForwardedHeader::Forwarded);
        for (line, expected) in [
            ("for=1.1.1.1, for=203.0.113.9;proto=https", "203.0.113.9"),
            (r#"proto=https;For="[2001:db8::1]:4711""#, "2001:db8::1"),
            ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.1", &[("forwarded", line)]), expected, "{line}");
        }
        assert_eq!(client(&proxies, "10.0.0.1", &[("x-forwarded-for", "203.0.113.9")]), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let network = |text: &str| ClientAddress(text.parse().unwrap()).network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1:2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1:2::");
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), standard: bool) {
            let header = if standard { ForwardedHeader::Forwarded } else { ForwardedHeader::XForwardedFor };
            let name = if standard { header::FORWARDED } else { X_FORWARDED_FOR };
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(name, value)]);
                proxies("0.0.0.0/0", header).client_address("10.0.0.1".parse().unwrap(), &headers);
            }
        }
    }
}
