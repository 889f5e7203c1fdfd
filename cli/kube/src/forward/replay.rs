//! A client's connection that can be led to another pod as long as nothing was answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a client sends before it is answered: a request. One that is larger is not sent twice.
const KEPT: usize = 256 * 1024;

pub(super) struct Replay {
    stream: TcpStream,
    /// What was read, until there is an answer; beyond a bound nothing is kept.
    kept: Vec<u8>,
    /// Nothing was answered, and all that was read is kept.
    fresh: bool,
    /// How much of that is on its way again.
    at: usize,
    /// A byte was answered.
    answered: Arc<AtomicBool>,
}

impl Replay {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, kept: Vec::new(), fresh: true, at: 0, answered: Arc::default() }
    }

    /// From the beginning again.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
    }

    pub(super) fn can_rewind(&self) -> bool {
        self.fresh
    }

    /// Tells while it is copied from and to.
    pub(super) fn answered(&self) -> Arc<AtomicBool> {
        self.answered.clone()
    }

    pub(super) fn finish(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl AsyncRead for Replay {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let again = &this.kept[this.at..];
        if !again.is_empty() {
            let count = again.len().min(into.remaining());
            into.put_slice(&again[..count]);
            this.at += count;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
        let read = &into.filled()[before..];
        if this.fresh {
            this.kept.extend_from_slice(read);
            this.at = this.kept.len();
            this.fresh = this.kept.len() <= KEPT;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // An answer: from here on it is this pod's connection.
        self.fresh = false;
        self.answered.store(true, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A pod that ends without a word may only not be up yet; the client is told when all has been tried.
        if self.fresh {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
