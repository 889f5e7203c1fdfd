//! The yardstick: an axum server that says hello, in a process of its own.

use std::process::Stdio;

use axum::Router;
use axum::routing::get;
use tokio::process::{Child, Command};

use crate::Failed;
use crate::platform::free_port;

/// What the child runs.
pub(crate) async fn serve() -> Result<(), Failed> {
    let port = std::env::args().nth(2).ok_or("hello PORT")?;
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, Router::new().route("/", get(|| async { "Hello, World!" }))).await?;
    Ok(())
}

/// Starts it; ends when the child is dropped.
pub(crate) async fn start() -> Result<(Child, String), Failed> {
    let port = free_port()?.to_string();
    let child = Command::new(std::env::current_exe()?)
        .args(["hello", &port])
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
