//! Listening, with a queue that bears a burst.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// Connections that may wait to be accepted; the kernel's `somaxconn` bounds it.
const BACKLOG: u32 = 4096;

/// Listens at an address. With `shared`, other processes of the same user that say so too may listen at the same one,
/// and the kernel spreads connections over them. Needs a tokio runtime; the listener does not block.
///
/// # Errors
/// The address is taken, not this machine's, or not for this user.
pub fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port whose old connections have not quite gone is free; one that somebody listens on is not.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_shared_only_by_those_who_all_say_so() {
        let first = listen("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(listen(address, true).unwrap().local_addr().unwrap(), address);
        assert_eq!(listen(address, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let alone = listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
        assert_eq!(listen(alone.local_addr().unwrap(), true).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
