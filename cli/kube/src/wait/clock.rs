//! Whether the API server is there, and what time it has.

use std::time::Duration;

use http::Request;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::Client;
use kube::client::Body;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::watching::Change;
use crate::cluster::reason;

const BEAT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks the API server every two seconds whether it is there; ends when it is dropped.
pub(super) struct Pulse(JoinHandle<()>);

impl Pulse {
    pub(super) fn start(client: Client, changes: UnboundedSender<Change>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let answer = match timeout(PATIENCE, ask(&client)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
                };
                if changes.send(Change::Pulse(answer)).is_err() {
                    return;
                }
                sleep(BEAT).await;
            }
        }))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How far its clock is ahead, in milliseconds. Any answer counts: who may not ask for the version is answered as well.
async fn ask(client: &Client) -> Result<Option<i64>, String> {
    let request = Request::get("/version").body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| reason(&error))?;
    if answer.status().is_server_error() {
        return Err(format!("it answers {}", answer.status()));
    }
    let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    let theirs = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    // A server that dies in the middle of an answer has sent its headers before.
    answer.into_body().collect_bytes().await.map_err(|error| reason(&error))?;
    // The header has whole seconds: the middle of it is the best guess.
    Ok(theirs.map(|theirs| theirs.as_millisecond() + 500 - Timestamp::now().as_millisecond()))
}
