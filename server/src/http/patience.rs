//! How long a connection may take: to send its headers, to ask again, to read what it is sent. Whoever takes longer is
//! cut off, and holds no more than a socket until then.
//!
//! One timer for each connection, set anew only when it fires or must fire sooner, because setting one for each
//! request costs more than all other bookkeeping. Request bodies have a limit of their own: see [`super::body`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// The bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// From the first byte of a request to the end of its headers; also from the connection to its first headers.
    pub(crate) headers: Duration,
    /// From the end of an answer to the next request.
    pub(crate) idle: Duration,
    /// Without reading anything of what it is sent.
    pub(crate) stalled: Duration,
}

/// What a connection waits for, shared between its socket, which sees bytes, and its service, which sees requests.
#[derive(Debug)]
pub(crate) struct Watch {
    base: Instant,
    /// Milliseconds since `base`, above the two bits of the [`Phase`].
    state: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle = 0,
    Headers = 1,
    Answering = 2,
}

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        let watch = Self { base: Instant::now(), state: AtomicU64::new(0) };
        watch.enter(Phase::Headers);
        Arc::new(watch)
    }

    /// The headers are complete. Until the result is dropped with the answer's body, the server is at work.
    pub(crate) fn answering(self: &Arc<Self>) -> Answering {
        self.enter(Phase::Answering);
        Answering(Arc::clone(self))
    }

    fn enter(&self, phase: Phase) {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.state.store(millis << 2 | phase as u64, Ordering::Relaxed);
    }

    fn phase(&self) -> (Phase, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Headers,
            _ => Phase::Answering,
        };
        (phase, self.base + Duration::from_millis(state >> 2))
    }
}

/// The server is at work on an answer.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Watch>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

/// An answer's body, which ends the work on it when it has been sent.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    body: Body,
    _answering: Answering,
}

impl AnswerBody {
    pub(crate) fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that gives up on its peer.
pub(crate) struct PatientStream {
    stream: TokioIo<TcpStream>,
    watch: Arc<Watch>,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    stalled_since: Option<Instant>,
}

impl PatientStream {
    pub(crate) fn new(stream: TcpStream, watch: Arc<Watch>, patience: Patience) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + patience.headers));
        Self { stream: TokioIo::new(stream), watch, patience, timer, stalled_since: None }
    }

    fn due(&self, now: Instant) -> Instant {
        let (phase, since) = self.watch.phase();
        let reading = match phase {
            Phase::Idle => since + self.patience.idle,
            Phase::Headers => since + self.patience.headers,
            Phase::Answering => now + self.patience.idle,
        };
        self.stalled_since.map_or(reading, |since| reading.min(since + self.patience.stalled))
    }

    /// Called whenever the peer keeps the server waiting; ready when it has done so for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // Only these can be due sooner than what the timer is set to.
        let sooner = self.stalled_since.is_some() || self.watch.phase().0 == Phase::Headers;
        if sooner {
            let due = self.due(Instant::now());
            if due < self.timer.deadline() {
                self.timer.as_mut().reset(due);
            }
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.due(now);
            if due <= now {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn after_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled_since = None;
            return written;
        }
        self.stalled_since.get_or_insert_with(Instant::now);
        self.poll_patience(cx).map(Err)
    }
}

impl Read for PatientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            return self.poll_patience(cx).map(Err);
        }
        if self.watch.phase().0 == Phase::Idle {
            self.watch.enter(Phase::Headers);
        }
        read
    }
}

impl Write for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(cx, written)
    }
}
