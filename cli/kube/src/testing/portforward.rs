//! A forwarded port of a pod, over a websocket: to whatever a test says listens there.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::ApiServer;

/// The channel of the first port's bytes, and that of its error.
const DATA: u8 = 0;
const ERROR: u8 = 1;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) fn open(
    server: &ApiServer,
    headers: &HeaderMap,
    upgrade: OnUpgrade,
    pod: (String, String),
    port: u16,
) -> Response {
    let address = server.store().listens.get(&(pod.0, pod.1, port)).copied();
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else { return StatusCode::BAD_REQUEST.into_response() };
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            // A connection that breaks is one that ends.
            let _ = carry(socket, port, address).await;
        }
    });
    let head = [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "Upgrade"),
        (header::SEC_WEBSOCKET_ACCEPT, &accept),
        (header::SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io"),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, head, Body::empty()).into_response()
}

fn frame(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], bytes].concat()))
}

async fn carry(mut socket: Socket, port: u16, address: Option<SocketAddr>) -> Result<(), Error> {
    for channel in [DATA, ERROR] {
        socket.send(frame(channel, &port.to_le_bytes())).await?;
    }
    let connected = match address {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => None,
    };
    let Some(mut stream) = connected else {
        return socket
            .send(frame(ERROR, format!("failed to connect to port {port}: connection refused").as_bytes()))
            .await;
    };
    let mut bytes = vec![0; 16 << 10];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(data))) if data.first() == Some(&DATA) => {
                    if stream.write_all(&data[1..]).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            },
            read = stream.read(&mut bytes) => match read {
                Ok(0) | Err(_) => return socket.send(Message::Close(None)).await,
                Ok(count) => socket.send(frame(DATA, &bytes[..count])).await?,
            },
        }
    }
}
