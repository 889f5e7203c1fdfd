//! Which hosts are this machine.

use std::net::IpAddr;

use reqwest::Url;

/// The host of an address, an IPv6 one without its brackets; empty if there is none.
#[must_use]
pub fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

/// Whether what is sent there stays on this machine, by the address itself: a name that only happens to lead here does not
/// count, nor does an address that this machine has in a network.
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    let host = host(url);
    // Who connects to no address in particular reaches this machine.
    let is_here = |address: IpAddr| address.to_canonical().is_loopback() || address.is_unspecified();
    host == "localhost" || host.parse().is_ok_and(is_here)
}
