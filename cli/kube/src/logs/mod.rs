//! What the containers of many pods write, as one stream of lines.
//!
//! A stream of the API ends with its container, its node or its connection; this one goes on: pods that come are
//! followed from their beginning, a broken stream is taken up again at the last line, and no line comes twice. Lines of one
//! container are in order; between containers the order is that of arrival. Who prints is somebody else.

mod container;
mod line;
mod pods;

#[cfg(test)]
mod tests;

use futures::Stream;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::line::{Line, plain};

/// So many lines wait for a slow reader; then the streams wait.
const BUFFER: usize = 1024;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Values of the label `app.kubernetes.io/name`; empty means all pods of `selector`.
    pub components: Vec<String>,
    /// A label selector besides, such as `app.kubernetes.io/part-of=cardctl`; empty means none.
    pub selector: String,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// At most so many lines of each container, counted from the end.
    pub tail: Option<u32>,
    /// Of the run before the present one, where there was one. Nothing to follow there.
    pub previous: bool,
    /// Go on with what comes, and with pods that come.
    pub follow: bool,
}

/// Why there are no lines, or no more.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The pods can't be listed.
    #[error("the pods of namespace {namespace} can't be listed: {}", crate::cluster::reason(&**source))]
    Pods {
        namespace: String,
        /// What the API server says; a connection that fails can be tried again.
        source: Box<kube::Error>,
    },
}

/// What a stream of logs brings.
#[derive(Debug)]
pub enum LogItem {
    Line(Line),
    /// Something about the streams themselves: a pod came, a log can't be read, the connection is tried again.
    Notice(String),
}

/// Lines until all logs are read, or while `follow`, until the stream is dropped. The first error is the last item.
pub fn logs(
    client: Client,
    namespace: &str,
    options: LogOptions,
) -> impl Stream<Item = Result<LogItem, LogError>> + Send + Unpin + use<> {
    let (items, received) = mpsc::channel(BUFFER);
    let namespace = namespace.to_owned();
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        if let Err(error) = pods::read(client, &namespace, &options, &items).await {
            let _ = items.send(Err(error)).await;
        }
    });
    // The set lives in the stream: dropping it ends all reading.
    Box::pin(futures::stream::unfold((received, reading), |(mut received, reading)| async move {
        received.recv().await.map(|item| (item, (received, reading)))
    }))
}
