//! The log of one container, taken up again where it broke.

use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::line::{Line, split};
use super::{LogError, LogItem, LogOptions};
use crate::cluster::reason;

type Items = Sender<Result<LogItem, LogError>>;

const PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(3);
/// A program that never ends its line must not fill our memory.
const LONGEST: usize = 256 * 1024;

/// Whose log.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) uid: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) component: String,
}

/// The last line that was told, and how many were told of the very same time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: Option<Timestamp>,
    pub(super) same: usize,
    /// How many of that time were seen since the stream was taken up again.
    again: usize,
}

impl Place {
    /// Starts over at the second of the last line: the API takes whole seconds only.
    pub(super) fn resume(&mut self) -> Option<Timestamp> {
        self.again = 0;
        // Rounded down: kube rounds to the nearest second, which would lose up to half a second of lines.
        self.time.and_then(|time| Timestamp::from_second(time.as_second()).ok())
    }

    /// Whether a line of this time was not told yet; counts it.
    pub(super) fn is_new(&mut self, time: Option<Timestamp>) -> bool {
        let (Some(time), Some(last)) = (time, self.time) else {
            if time.is_some() {
                *self = Self { time, same: 1, again: 1 };
            }
            return true;
        };
        if time < last {
            return false;
        }
        if time > last {
            *self = Self { time: Some(time), same: 1, again: 1 };
            return true;
        }
        self.again += 1;
        if self.again <= self.same {
            return false;
        }
        self.same = self.again;
        true
    }
}

impl Source {
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.uid, self.container)
    }

    fn line(&self, time: Option<Timestamp>, text: String) -> Line {
        let Self { pod, container, component, .. } = self.clone();
        Line { pod, container, component, time, text }
    }
}

pub(super) async fn read_once(pods: Api<Pod>, source: Source, options: LogOptions, items: Items) {
    let mut place = Place::default();
    let params = LogParams { follow: false, ..params(&source, &options, options.since) };
    if let Err(error) = read(&pods, &source, &params, &mut place, &items).await {
        let told = format!("the log of {}/{} can't be read: {error}", source.pod, source.container);
        let _ = items.send(Ok(LogItem::Notice(told))).await;
    }
}

/// Until the container is gone for good.
pub(super) async fn follow(pods: Api<Pod>, source: Source, options: LogOptions, items: Items) {
    let mut place = Place::default();
    let mut first = true;
    let mut told = false;
    loop {
        let since = if first { options.since } else { place.resume().or(options.since) };
        let mut params = LogParams { follow: true, ..params(&source, &options, since) };
        if !first && place.time.is_some() {
            params.tail_lines = None;
        }
        let read = read(&pods, &source, &params, &mut place, &items).await;
        if items.is_closed() {
            return;
        }
        first = place.time.is_none() && first;
        match read {
            Ok(lines) => {
                told &= lines == 0;
                // It ended as streams do: with the container, or with the connection.
                match remains(&pods, &source).await {
                    Remains::Gone | Remains::Done => return,
                    Remains::Waits => sleep(PAUSE).await,
                    Remains::Unknown => sleep(LONG_PAUSE).await,
                }
            }
            Err(error) => {
                if matches!(remains(&pods, &source).await, Remains::Gone) {
                    return;
                }
                if !told {
                    told = true;
                    let said =
                        format!("the log of {}/{} was interrupted, retrying: {error}", source.pod, source.container);
                    let _ = items.send(Ok(LogItem::Notice(said))).await;
                }
                sleep(LONG_PAUSE).await;
            }
        }
    }
}

fn params(source: &Source, options: &LogOptions, since: Option<Timestamp>) -> LogParams {
    LogParams {
        container: Some(source.container.clone()),
        since_time: since.and_then(|since| Timestamp::from_second(since.as_second()).ok()),
        tail_lines: options.tail.map(i64::from),
        previous: options.previous,
        timestamps: true,
        ..LogParams::default()
    }
}

async fn read(
    pods: &Api<Pod>,
    source: &Source,
    params: &LogParams,
    place: &mut Place,
    items: &Items,
) -> Result<usize, String> {
    let stream = pods.log_stream(&source.pod, params).await.map_err(|error| reason(&error))?;
    let mut stream = std::pin::pin!(stream);
    let (mut raw, mut count) = (Vec::new(), 0);
    while next_line(&mut stream, &mut raw).await.map_err(|error| error.to_string())? {
        let (time, text) = split(&raw);
        raw.clear();
        if !place.is_new(time) {
            continue;
        }
        count += 1;
        if items.send(Ok(LogItem::Line(source.line(time, text)))).await.is_err() {
            return Ok(count);
        }
    }
    Ok(count)
}

/// Reads up to the end of a line, or a piece of one that is too long. False at the end of the stream.
async fn next_line(stream: &mut (impl AsyncBufRead + Unpin), raw: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        let buffer = stream.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(!raw.is_empty());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        raw.extend_from_slice(&buffer[..taken]);
        stream.consume_unpin(taken);
        if end.is_some() || raw.len() >= LONGEST {
            return Ok(true);
        }
    }
}

enum Remains {
    /// The pod is not there any more, or another of its name is.
    Gone,
    /// It will not run again.
    Done,
    /// It runs, or will.
    Waits,
    /// The API server does not say.
    Unknown,
}

async fn remains(pods: &Api<Pod>, source: &Source) -> Remains {
    let pod = match pods.get_opt(&source.pod).await {
        Ok(Some(pod)) if pod.metadata.uid.as_deref() == Some(source.uid.as_str()) => pod,
        Ok(_) => return Remains::Gone,
        Err(_) => return Remains::Unknown,
    };
    let status = pod.status.unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Remains::Done;
    }
    let initialised = status.init_container_statuses.into_iter().flatten().any(|init| {
        let ended = init.state.and_then(|state| state.terminated);
        init.name == source.container && ended.is_some_and(|ended| ended.exit_code == 0)
    });
    if initialised { Remains::Done } else { Remains::Waits }
}
