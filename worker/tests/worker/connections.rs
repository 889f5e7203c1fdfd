//! Connections as a port of the platform takes them, by real sockets.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use card_core::settings::Networks;
use card_serve::connections::{Answer, Client, Limits, Standing, Timeouts, Unreadable, serve};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Says what a connection may be used for, and is then at work until the client has gone.
struct Standings;

impl Answer for Standings {
    type Body = Body;

    async fn answer(&self, client: Client, _request: Request<Incoming>) -> Response<Body> {
        let begin = Bytes::from(format!("<{:?}>", client.standing));
        let parts = futures::stream::unfold(Some(begin), async |part| match part {
            Some(begin) => Some((Ok::<_, std::convert::Infallible>(begin), None)),
            None => std::future::pending().await,
        });
        Response::new(Body::from_stream(parts))
    }

    fn refuse(&self, _unreadable: &Unreadable) -> Response<Bytes> {
        Response::default()
    }
}

/// What so many connections from this machine are good for, all of them at work at once.
async fn standings(proxies: &str, connections: usize) -> Vec<String> {
    let timeouts = Timeouts {
        head: Duration::from_secs(20),
        idle: Duration::from_secs(20),
        stalled: Duration::from_secs(20),
        drain: Duration::ZERO,
    };
    let proxies: Networks = proxies.parse().unwrap();
    let limits = Limits { timeouts, connections: 36, unfinished: 1 << 20, proxies };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, Arc::new(Standings), limits, stop.clone()));
    let (mut open, mut standings) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.contains(&b'>') {
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read_buf(&mut answer)).await;
            assert_ne!(read.expect("there is an answer").unwrap(), 0, "no place at all");
        }
        let answer = String::from_utf8(answer).unwrap();
        let (_, standing) = answer.split_once('<').unwrap();
        standings.push(standing.split('>').next().unwrap().to_owned());
        open.push(stream);
    }
    stop.cancel();
    served.await.unwrap();
    standings
}

#[tokio::test]
async fn an_address_has_a_share_of_the_connections_and_a_trusted_proxy_may_have_all() {
    let regular = format!("{:?}", Standing::Regular);
    let one = standings("192.0.2.0/24", 36).await;
    assert_eq!(one.iter().take_while(|standing| **standing == regular).count(), 32, "{one:?}");
    assert!(one[32..].iter().all(|standing| standing == "Reserve(Address)"), "{one:?}");
    let proxy = standings("192.0.2.0/24, 127.0.0.0/8", 40).await;
    assert!(proxy[..36].iter().all(|standing| *standing == regular), "{proxy:?}");
    assert!(proxy[36..].iter().all(|standing| standing == "Reserve(All)"), "{proxy:?}");
}
