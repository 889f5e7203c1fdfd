//! Whether anybody answers at a place. Connects and says nothing: whether one may enter is found out by who enters.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Place;
use super::place::Node;

/// A server that takes longer to take a connection is of no use.
const LIMIT: Duration = Duration::from_secs(3);

/// Connects to one of the nodes, whichever answers.
///
/// # Errors
/// Why the last of them did not.
pub async fn reach(place: &Place) -> Result<(), String> {
    let mut reason = "the address has no host".to_owned();
    for node in place.nodes() {
        match timeout(LIMIT, connect(node)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => reason = format!("{node}: {error}"),
            Err(_) => reason = format!("{node}: no answer within {} s", LIMIT.as_secs()),
        }
    }
    Err(reason)
}

async fn connect(node: &Node) -> io::Result<()> {
    match node {
        Node::Tcp(host, port) => TcpStream::connect((host.trim_matches(['[', ']']), *port)).await.map(drop),
        Node::Unix(path) => UnixStream::connect(path).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Service;
    use super::*;

    #[tokio::test]
    async fn one_node_that_answers_is_enough_and_none_is_named() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = here.local_addr().unwrap().port();
        let place = |text: String| Place::of(Service::Redis, &text).unwrap();
        reach(&place(format!("redis-cluster://127.0.0.1:1,127.0.0.1:{port}"))).await.unwrap();
        let reason = reach(&place("redis://127.0.0.1:1".to_owned())).await.unwrap_err();
        assert!(reason.starts_with("127.0.0.1:1: "), "{reason}");
    }
}
