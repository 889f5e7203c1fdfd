//! The yardstick: an axum server that says hello, in a process of its own.

use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use tokio::process::{Child, Command};

use crate::Failed;
use crate::platform::free_port;

/// What the child runs.
pub(crate) async fn serve() -> Result<(), Failed> {
    let port = std::env::args().nth(2).ok_or("hello PORT [FILE]")?;
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let router = match std::env::args().nth(3) {
        None => Router::new().route("/", get(|| async { "Hello, World!" })),
        Some(file) => {
            let body = Bytes::from(std::fs::read(file)?);
            let answer = move || std::future::ready(([("content-type", "application/json")], body.clone()));
            Router::new().route("/", get(answer))
        }
    };
    axum::serve(listener, router).await?;
    Ok(())
}

/// Starts it; ends when the child is dropped.
pub(crate) async fn start() -> Result<(Child, String), Failed> {
    start_with(None).await
}

/// One that answers the bytes of a file, as JSON, instead.
pub(crate) async fn start_with(file: Option<&Path>) -> Result<(Child, String), Failed> {
    let port = free_port()?.to_string();
    let child = Command::new(std::env::current_exe()?)
        .args(["hello", &port])
        .args(file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let url = format!("http://127.0.0.1:{port}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
        if tokio::time::Instant::now() > deadline {
            return Err("hello did not start".into());
        }
        tokio::task::yield_now().await;
    }
    Ok((child, url))
}
