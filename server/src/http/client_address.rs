//! Whose address a request counts for: failed sign-ins, and shares of what all clients have together.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// The address of the client that sent a request; handlers extract it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Finds it, from the address of the connection's other end and the headers of the request. Every use goes through here.
/// Headers say nothing yet: there is no proxy that would be believed.
pub(crate) fn client_address(peer: IpAddr, _headers: &HeaderMap) -> ClientAddress {
    // The same client whether it came by IPv4 or by IPv4 inside of IPv6.
    ClientAddress(peer.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_of_an_ipv6_listener_keeps_its_address() {
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let plain: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(client_address(mapped, &HeaderMap::new()), ClientAddress(plain));
    }
}
