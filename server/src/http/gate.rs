//! How much may be under way at once. What comes on top is refused at once, before any work went into it (P5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use card_core::problem::Code;

use crate::problem::Refusal;

/// Events that all streams together may have read and not sent yet; some 512 bytes each.
const STREAMED_EVENTS: usize = 100_000;

/// Two bounds: requests being answered, and those that only wait (streams, long-polls) and cost next to nothing.
#[derive(Debug)]
pub(crate) struct Gate {
    requests: AtomicUsize,
    requests_limit: usize,
    waiting: AtomicUsize,
    waiting_limit: usize,
}

impl Gate {
    pub(crate) fn new(requests_limit: usize, waiting_limit: usize) -> Self {
        Self { requests: AtomicUsize::new(0), requests_limit, waiting: AtomicUsize::new(0), waiting_limit }
    }

    /// Requests being answered now.
    pub(crate) fn in_flight(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Events that a stream may read at once: what all streams hold before it is sent stays the same, however many there
    /// are. A stream that reads less at a time catches up more slowly; it misses nothing.
    pub(crate) fn page(&self) -> usize {
        (STREAMED_EVENTS / self.waiting.load(Ordering::Relaxed).max(1)).clamp(4, 128)
    }

    /// Counts a request until the permit is dropped.
    pub(crate) fn enter(&self) -> Result<Permit<'_>, Refusal> {
        if count_up(&self.requests, self.requests_limit) {
            Ok(Permit(self))
        } else {
            Err(Refusal::new(Code::Overloaded, "Too many requests are being answered. Nothing was changed; try again."))
        }
    }

    /// Counts a request that is being answered as one that only waits, until the result is dropped.
    pub(crate) fn park(&self) -> Result<Parked<'_>, Refusal> {
        if !count_up(&self.waiting, self.waiting_limit) {
            return Err(too_many_waiting());
        }
        self.requests.fetch_sub(1, Ordering::Relaxed);
        Ok(Parked(self))
    }

    /// Counts a stream, which outlives its request, until the result is dropped.
    pub(crate) fn open_stream(self: &Arc<Self>) -> Result<OpenStream, Refusal> {
        if count_up(&self.waiting, self.waiting_limit) {
            Ok(OpenStream(Arc::clone(self)))
        } else {
            Err(too_many_waiting())
        }
    }
}

fn too_many_waiting() -> Refusal {
    Refusal::new(Code::Overloaded, "Too many streams and long-polls are open; ask without `wait`, or later.")
        .retry_after(5)
}

fn count_up(count: &AtomicUsize, limit: usize) -> bool {
    if count.fetch_add(1, Ordering::Relaxed) < limit {
        return true;
    }
    count.fetch_sub(1, Ordering::Relaxed);
    false
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Gate);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that only waits. Dropping it makes it one that is being answered again, if need be above the limit.
#[derive(Debug)]
pub(crate) struct Parked<'a>(&'a Gate);

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct OpenStream(Arc<Gate>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_limit_is_refused_and_a_dropped_permit_makes_room() {
        let gate = Gate::new(1, 1);
        let permit = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err().code(), Code::Overloaded);
        drop(permit);
        assert!(gate.enter().is_ok());
        assert_eq!(gate.in_flight(), 0);
    }

    #[test]
    fn many_streams_read_little_each() {
        let gate = Arc::new(Gate::new(1, 100_000));
        assert_eq!(gate.page(), 128);
        let streams: Vec<_> = (0..10_000).map(|_| gate.open_stream().unwrap()).collect();
        assert_eq!(gate.page(), 10);
        drop(streams);
        assert_eq!(gate.page(), 128);
    }

    #[test]
    fn who_only_waits_leaves_room_for_others() {
        let gate = Gate::new(1, 1);
        let _permit = gate.enter().unwrap();
        let parked = gate.park().unwrap();
        let other = gate.enter().unwrap();
        assert_eq!(gate.park().unwrap_err().code(), Code::Overloaded);
        drop(other);
        drop(parked);
        assert!(gate.enter().is_err());
    }
}
