//! A client's socket as the HTTP library sees it: whole heads of requests that are right, and bodies up to their end.
//!
//! A head is collected and checked here, and handed on at once. So what can't be read is known here, after the answers
//! to all that came before, and gets an answer too; an unfinished head holds its own bytes and no buffer of the
//! library's; and whoever is too slow is cut off. One timer for each connection, set anew only when it fires or must
//! fire sooner, because setting one for each request costs more than all other bookkeeping.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::Framing;
use super::head::{self, Head};
use super::unreadable::{Unreadable, UnreadableKind, wire};
use super::watch::{Phase, Watch};
use super::{Answer, Timeouts};
use crate::shares::{Holder, Share, Shares};

/// Read at once: less than the HTTP library's buffer holds, which therefore never grows.
const PIECE: usize = 4 * 1024;
/// A client that sends no more is answered all the same, if it does not take longer than this: nobody can tell whether it
/// waits or has gone.
const HALF_CLOSED: Duration = Duration::from_secs(5);
/// What a client still sends is thrown away for so long and so many bytes after the last answer: closing at once would
/// take the answer away from a client that has not read it yet.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

pub(super) struct ClientStream<A> {
    tcp: TcpStream,
    watch: Arc<Watch>,
    answers: Arc<A>,
    timeouts: Timeouts,
    timer: Pin<Box<Sleep>>,
    stalled_since: Option<Instant>,
    half_closed: Option<Instant>,
    /// Read and not handed on.
    buffer: Vec<u8>,
    /// There was no room for what came after a request; it is not read when that is answered.
    discarded: bool,
    reading: Reading,
    /// What of the buffer and of an unfinished body is held.
    held: Held,
    closing: Closing,
}

#[derive(Debug)]
enum Reading {
    /// The head of a request; so many bytes of it were looked at.
    Head(usize),
    /// So many bytes of the buffer are a head that is handed on; then comes a body.
    Pass(usize, Framing),
    Body(Framing),
    /// The request is complete; the next one is read when it is answered.
    Complete,
    Unreadable(Unreadable),
    End,
}

#[derive(Debug)]
enum Closing {
    Not,
    Writing(Vec<u8>, usize),
    Shutting,
    Lingering(usize),
    Done,
}

/// Bytes that are accounted for; nothing as long as requests come in one piece.
struct Held {
    shares: Arc<Shares>,
    holder: Holder,
    share: Option<Share>,
}

impl Held {
    fn grow(&mut self, more: usize) -> bool {
        match &mut self.share {
            Some(share) => share.grow(more).is_ok(),
            None => match self.shares.take(&[self.holder], more) {
                Ok(share) => {
                    self.share = Some(share);
                    true
                }
                Err(_) => false,
            },
        }
    }
}

impl<A: Answer> ClientStream<A> {
    pub(super) fn new(
        tcp: TcpStream,
        watch: Arc<Watch>,
        answers: Arc<A>,
        timeouts: Timeouts,
        shares: Arc<Shares>,
        holder: Holder,
    ) -> Self {
        Self {
            tcp,
            watch,
            answers,
            timeouts,
            timer: Box::pin(sleep_until(Instant::now() + timeouts.head)),
            stalled_since: None,
            half_closed: None,
            buffer: Vec::new(),
            discarded: false,
            reading: Reading::Head(0),
            held: Held { shares, holder, share: None },
            closing: Closing::Not,
        }
    }

    /// Waits for the head of the first request; false if there will be none.
    pub(super) async fn has_request(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_head(cx)).await.unwrap_or(false)
    }

    /// Says what has to be said, and closes.
    pub(super) async fn close(&mut self) {
        let _ = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_shutdown(cx)).await;
    }

    fn due(&self, now: Instant) -> Instant {
        let (phase, since) = self.watch.phase();
        let reading = match phase {
            Phase::Idle => since + self.timeouts.idle,
            Phase::New | Phase::Head => since + self.timeouts.head,
            Phase::Answering | Phase::Streaming => now + self.timeouts.idle,
            Phase::Closing => since + LINGER,
        };
        let stalled = self.stalled_since.map_or(reading, |since| reading.min(since + self.timeouts.stalled));
        self.half_closed.map_or(stalled, |since| stalled.min(since + HALF_CLOSED))
    }

    /// Called whenever the peer keeps the server waiting; ready when it has done so for too long.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Only these can be due sooner than what the timer is set to.
        let phase = self.watch.phase().0;
        if self.stalled_since.is_some() || self.half_closed.is_some() || matches!(phase, Phase::Head | Phase::Closing) {
            let due = self.due(Instant::now());
            if due < self.timer.deadline() {
                self.timer.as_mut().reset(due);
            }
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.due(now);
            if due <= now {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Reads a piece and hands it to `take`.
    fn poll_piece<T>(
        &mut self,
        cx: &mut Context<'_>,
        at_most: usize,
        take: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        let mut piece = [const { MaybeUninit::<u8>::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut piece[..at_most.min(PIECE)]);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut piece))?;
        Poll::Ready(Ok(take(self, piece.filled())))
    }

    /// Collects a head; true when there is one to hand on, false when there will be none.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let looked_at = match &self.reading {
                Reading::Head(looked_at) => *looked_at,
                Reading::Unreadable(_) | Reading::End => return Poll::Ready(Ok(false)),
                _ => return Poll::Ready(Ok(true)),
            };
            if self.buffer.len() > looked_at {
                self.look(looked_at);
                continue;
            }
            let read = self.poll_piece(cx, PIECE, |stream, piece| {
                stream.append(piece);
                piece.is_empty()
            });
            match read {
                Poll::Ready(Ok(true)) if self.has_nothing() => self.reading = Reading::End,
                Poll::Ready(Ok(true)) => {
                    self.refuse(UnreadableKind::Malformed, "The request ended before its headers were complete.");
                }
                Poll::Ready(Ok(false)) => {
                    if matches!(self.watch.phase().0, Phase::New | Phase::Idle) {
                        self.watch.enter(Phase::Head);
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let evicted = self.watch.is_evicted(cx);
                    if !evicted && self.poll_timeout(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if evicted && !self.has_nothing() {
                        self.refuse(UnreadableKind::Overloaded, OVERLOADED);
                    } else {
                        self.reading = Reading::End;
                    }
                }
            }
        }
    }

    /// Whether the client has sent what nobody has read.
    fn has_more(&self, cx: &mut Context<'_>) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        matches!(self.tcp.poll_peek(cx, &mut ReadBuf::uninit(&mut byte)), Poll::Ready(Ok(1..)))
    }

    /// Whether a client has said nothing that calls for an answer: empty lines before a request are none.
    fn has_nothing(&self) -> bool {
        self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    fn look(&mut self, looked_at: usize) {
        match head::find(&self.buffer, looked_at) {
            Ok(Some(Head { len, body })) => self.reading = Reading::Pass(len, body),
            Ok(None) => {
                self.reading = Reading::Head(self.buffer.len());
                let held = self.held.share.as_ref().map_or(0, Share::amount);
                if !self.held.grow(self.buffer.len().saturating_sub(held)) {
                    self.refuse(UnreadableKind::Overloaded, OVERLOADED);
                }
            }
            Err(unreadable) => self.give_up(unreadable),
        }
    }

    fn append(&mut self, piece: &[u8]) {
        // No more than is needed, as there may be thousands of unfinished heads.
        if self.buffer.capacity() < self.buffer.len() + piece.len() {
            self.buffer.reserve_exact(piece.len().max(self.buffer.len() / 2).min(PIECE));
        }
        self.buffer.extend_from_slice(piece);
    }

    fn refuse(&mut self, kind: UnreadableKind, detail: &'static str) {
        let unreadable = Unreadable::new(kind, detail, &self.buffer);
        self.give_up(unreadable);
    }

    fn give_up(&mut self, unreadable: Unreadable) {
        self.buffer = Vec::new();
        self.held.share = None;
        self.reading = Reading::Unreadable(unreadable);
    }

    /// Hands on what belongs to a body; the rest of a piece is the next request.
    fn hand_on(&mut self, mut framing: Framing, piece: &[u8], cursor: &mut ReadBufCursor<'_>) -> io::Result<usize> {
        let taken = framing.take(piece);
        cursor.put_slice(&piece[..taken]);
        if framing.is_done() {
            self.complete();
        } else {
            self.reading = Reading::Body(framing);
            // It stays in memory until all of it is there.
            if !self.held.grow(taken) {
                self.watch.overload();
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        Ok(taken)
    }

    fn complete(&mut self) {
        self.watch.set_unfinished(false);
        self.reading = Reading::Complete;
        self.held.share = None;
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        framing: Framing,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = cursor.remaining();
        if !self.buffer.is_empty() {
            let mut buffer = std::mem::take(&mut self.buffer);
            let piece = &buffer[..buffer.len().min(room)];
            let taken = self.hand_on(framing, piece, &mut cursor)?;
            buffer.drain(..taken);
            self.keep(buffer);
            return Poll::Ready(Ok(()));
        }
        let read = self.poll_piece(cx, room, |stream, piece| {
            if piece.is_empty() {
                stream.reading = Reading::End;
                return Ok(());
            }
            let taken = stream.hand_on(framing, piece, &mut cursor)?;
            stream.append(&piece[taken..]);
            Ok(())
        });
        match read {
            Poll::Ready(read) => Poll::Ready(read.flatten()),
            Poll::Pending => self.poll_timeout(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    /// What came after a request, if anything.
    fn keep(&mut self, buffer: Vec<u8>) {
        // Its memory is given back between two requests.
        if !buffer.is_empty() {
            self.buffer = buffer;
        }
    }

    /// The request is answered: on to the next.
    fn begin_next(&mut self) {
        self.reading = Reading::Head(0);
        if self.discarded {
            self.refuse(UnreadableKind::Overloaded, OVERLOADED);
        } else if !self.buffer.is_empty() {
            self.watch.enter(Phase::Head);
        }
    }

    /// While a request is answered: watches whether the client is still there, without reading on.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nobody asks again when it is answered and idle, unless it is woken.
        self.watch.is_evicted(cx);
        let unheld = if self.held.share.is_none() { self.buffer.len() } else { 0 };
        if unheld > 0 && !self.held.grow(unheld) {
            self.buffer = Vec::new();
            self.discarded = true;
        }
        if self.half_closed.is_none() && self.buffer.is_empty() && !self.discarded {
            let mut byte = [MaybeUninit::uninit()];
            match self.tcp.poll_peek(cx, &mut ReadBuf::uninit(&mut byte)) {
                Poll::Ready(Ok(0)) => self.half_closed = Some(Instant::now()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_timeout(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            }
        }
        self.watch.resume(cx);
        let phase = self.watch.phase().0;
        // A stream has no end that could be waited for.
        let streams = phase == Phase::Streaming;
        if self.half_closed.is_some() && (streams || self.poll_timeout(cx).is_ready()) {
            self.reading = Reading::End;
            return Poll::Ready(Ok(()));
        }
        if self.half_closed.is_none() && self.poll_timeout(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn after_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled_since = None;
            return written;
        }
        self.stalled_since.get_or_insert_with(Instant::now);
        self.poll_timeout(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

pub(super) const OVERLOADED: &str =
    "Too much is held of requests that have not arrived in whole. Nothing was done; send it again, in one piece.";

impl<A: Answer> Read for ClientStream<A> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        loop {
            match stream.reading {
                Reading::Head(_) => {
                    ready!(stream.poll_head(cx))?;
                }
                Reading::Pass(left, body) => {
                    let now = left.min(cursor.remaining());
                    cursor.put_slice(&stream.buffer[..now]);
                    let mut buffer = std::mem::take(&mut stream.buffer);
                    buffer.drain(..now);
                    stream.keep(buffer);
                    match (left - now, body.is_done()) {
                        (0, true) => stream.complete(),
                        (0, false) => {
                            let mut rest = body;
                            rest.take(&stream.buffer);
                            stream.watch.set_unfinished(!rest.is_done());
                            stream.reading = Reading::Body(body);
                            stream.held.share = None;
                        }
                        (left, _) => stream.reading = Reading::Pass(left, body),
                    }
                    return Poll::Ready(Ok(()));
                }
                Reading::Body(framing) => return stream.poll_body(cx, framing, cursor),
                Reading::Complete if stream.watch.phase().0 == Phase::Idle => stream.begin_next(),
                Reading::Complete => return stream.poll_gone(cx),
                Reading::Unreadable(_) | Reading::End => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<A: Answer> Write for ClientStream<A> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let written = Pin::new(&mut stream.tcp).poll_write(cx, bytes);
        stream.after_write(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    /// The last answer, if there is one; then the end, without taking away what the client has not read yet.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        loop {
            match &mut stream.closing {
                Closing::Not => {
                    // What is not read would make the end a reset.
                    let unread = match stream.reading {
                        Reading::Head(_) | Reading::End => false,
                        Reading::Complete => !stream.buffer.is_empty() || stream.discarded || stream.has_more(cx),
                        _ => true,
                    };
                    stream.watch.enter(Phase::Closing);
                    stream.half_closed = None;
                    stream.buffer = Vec::new();
                    stream.held.share = None;
                    stream.closing = match std::mem::replace(&mut stream.reading, Reading::End) {
                        Reading::Unreadable(unreadable) => {
                            Closing::Writing(wire(&stream.answers.refuse(&unreadable)), 0)
                        }
                        _ if unread => Closing::Writing(Vec::new(), 0),
                        _ => Closing::Done,
                    };
                    if matches!(stream.closing, Closing::Done) {
                        return Pin::new(&mut stream.tcp).poll_shutdown(cx);
                    }
                }
                Closing::Writing(bytes, at) if *at < bytes.len() => {
                    match Pin::new(&mut stream.tcp).poll_write(cx, &bytes[*at..]) {
                        Poll::Ready(Ok(written)) if written > 0 => *at += written,
                        Poll::Ready(_) => stream.closing = Closing::Done,
                        Poll::Pending => {
                            ready!(stream.poll_timeout(cx));
                            stream.closing = Closing::Done;
                        }
                    }
                }
                Closing::Writing(..) => stream.closing = Closing::Shutting,
                Closing::Shutting => {
                    ready!(Pin::new(&mut stream.tcp).poll_shutdown(cx))?;
                    stream.closing = Closing::Lingering(LINGER_BYTES);
                }
                Closing::Lingering(left) => {
                    let left = *left;
                    match stream.poll_piece(cx, PIECE, |_, piece| piece.len()) {
                        Poll::Ready(Ok(read)) if (1..left).contains(&read) => {
                            stream.closing = Closing::Lingering(left - read);
                        }
                        Poll::Ready(_) => stream.closing = Closing::Done,
                        Poll::Pending => {
                            if !stream.watch.is_evicted(cx) {
                                ready!(stream.poll_timeout(cx));
                            }
                            stream.closing = Closing::Done;
                        }
                    }
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
