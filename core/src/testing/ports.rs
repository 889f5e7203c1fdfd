//! Free loopback ports that stay free while their server is restarted.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::RngExt;

/// Below what Linux gives to outgoing connections (32768 and up): none of those can take the port while its server is
/// away, which a port from `bind(0)` can't say.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on now.
pub(super) fn free() -> u16 {
    let mut random = rand::rng();
    let tried = std::iter::repeat_with(|| random.random_range(PORTS)).take(1000);
    let mut free = tried.filter(|port| TcpListener::bind(loopback(*port)).is_ok());
    free.next().expect("one of a thousand loopback ports is free")
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
