//! What a connection waits for, shared between its socket, which sees bytes, its service, which sees requests, and the
//! room, which needs its place.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// What a connection is doing, in the order in which it is closed for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It said its last word.
    Closing = 0,
    /// Between two requests.
    Idle = 1,
    /// Nothing has come yet.
    New = 2,
    /// A part of a request's head has come.
    Head = 3,
    /// The server is at work.
    Answering = 4,
    /// The answer has begun and has no end in sight.
    Streaming = 5,
}

impl Phase {
    /// Nothing is lost when it is closed now.
    pub(super) fn can_be_closed(self) -> bool {
        self < Self::Answering
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    base: Instant,
    /// Milliseconds since `base`, above the three bits of the [`Phase`].
    state: AtomicU64,
    evicted: AtomicBool,
    overloaded: AtomicBool,
    /// A part of the present request's body has not come.
    unfinished: AtomicBool,
    /// The socket has something to read and waits for the end of the answer.
    resumes: AtomicBool,
    waker: AtomicWaker,
}

impl Watch {
    pub(super) fn new() -> Arc<Self> {
        let watch = Self {
            base: Instant::now(),
            state: AtomicU64::new(Phase::New as u64),
            evicted: AtomicBool::new(false),
            overloaded: AtomicBool::new(false),
            unfinished: AtomicBool::new(false),
            resumes: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        Arc::new(watch)
    }

    pub(super) fn enter(&self, phase: Phase) {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX >> 3);
        self.state.store(millis << 3 | phase as u64, Ordering::Relaxed);
        if !matches!(phase, Phase::Answering | Phase::Head) && self.resumes.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    pub(super) fn phase(&self) -> (Phase, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = match state & 7 {
            0 => Phase::Closing,
            1 => Phase::Idle,
            2 => Phase::New,
            3 => Phase::Head,
            4 => Phase::Answering,
            _ => Phase::Streaming,
        };
        (phase, self.base + Duration::from_millis(state >> 3))
    }

    /// The head of a request is complete. Until the result is dropped with the answer's body, the server is at work.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.enter(Phase::Answering);
        Answering(Arc::clone(self))
    }

    /// Wakes the connection when the answer has ended, or its stream has begun.
    pub(super) fn resume(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
        self.resumes.store(true, Ordering::Release);
    }

    /// Tells the connection to give up its place.
    pub(super) fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it was told so; wakes it when it is.
    pub(super) fn is_evicted(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.evicted.load(Ordering::Acquire)
    }

    /// A body was not read to its end, because too much is held already.
    pub(super) fn overload(&self) {
        self.overloaded.store(true, Ordering::Release);
    }

    pub(super) fn set_unfinished(&self, unfinished: bool) {
        self.unfinished.store(unfinished, Ordering::Relaxed);
    }

    /// Whether the body that belongs to the present answer is not all there: nothing can follow it.
    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed)
    }

    pub(super) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Acquire)
    }
}

/// The server is at work on an answer.
#[derive(Debug)]
pub(super) struct Answering(Arc<Watch>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

/// An answer's body, which ends the work on it when it has been sent.
#[derive(Debug)]
pub(super) struct AnswerBody<B> {
    body: B,
    _answering: Answering,
}

impl<B: Body> AnswerBody<B> {
    pub(super) fn new(body: B, answering: Answering) -> Self {
        if body.size_hint().exact().is_none() {
            answering.0.enter(Phase::Streaming);
        }
        Self { body, _answering: answering }
    }
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
