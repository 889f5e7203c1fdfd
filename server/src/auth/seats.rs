//! Who waits for a password to be hashed: fair by network, and refused before it waits.
//!
//! A network may take seats as long as it has fewer than are free. So one alone gets half of them, of n busy ones each
//! gets its share, and one that comes new finds a seat. Of those that wait, networks have their turns one after the
//! other, so that nobody waits for more than one job of each of the others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::client_address::Network;

/// Jobs of type `J` that wait.
#[derive(Debug)]
pub(crate) struct Seats<J> {
    limit: usize,
    waiting: Mutex<Waiting<J>>,
    /// A job is there, or none will come any more.
    news: Condvar,
}

#[derive(Debug)]
struct Waiting<J> {
    taken: usize,
    by_network: HashMap<Network, Lane<J>>,
    /// Networks that have a job that waits, in the order of their turns.
    turns: VecDeque<Network>,
    closed: bool,
}

#[derive(Debug)]
struct Lane<J> {
    taken: usize,
    jobs: VecDeque<(J, Seat<J>)>,
}

/// A right to wait. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Seat<J> {
    seats: Arc<Seats<J>>,
    network: Network,
}

impl<J> Seats<J> {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let waiting = Waiting { taken: 0, by_network: HashMap::new(), turns: VecDeque::new(), closed: false };
        Arc::new(Self { limit, waiting: Mutex::new(waiting), news: Condvar::new() })
    }

    /// A seat for a network, unless it has its share.
    pub(crate) fn take(self: &Arc<Self>, network: Network) -> Option<Seat<J>> {
        let mut waiting = self.lock();
        let free = self.limit.saturating_sub(waiting.taken);
        let own = waiting.by_network.get(&network).map_or(0, |lane| lane.taken);
        if own >= free {
            return None;
        }
        waiting.taken += 1;
        waiting.by_network.entry(network).or_insert_with(|| Lane { taken: 0, jobs: VecDeque::new() }).taken += 1;
        Some(Seat { seats: Arc::clone(self), network })
    }

    /// The next job in turn with its seat, or none after so long.
    pub(crate) fn next(&self, at_most: Duration) -> Next<J> {
        let deadline = Instant::now() + at_most;
        let mut waiting = self.lock();
        loop {
            if let Some(network) = waiting.turns.pop_front()
                && let Some(lane) = waiting.by_network.get_mut(&network)
                && let Some((job, seat)) = lane.jobs.pop_front()
            {
                if !lane.jobs.is_empty() {
                    waiting.turns.push_back(network);
                }
                return Next::Job(job, seat);
            }
            if waiting.closed {
                return Next::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Nothing;
            }
            waiting =
                self.news.wait_timeout(waiting, left).map_or_else(|broken| broken.into_inner().0, |(guard, _)| guard);
        }
    }

    /// No job comes any more; those that wait are dropped.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.turns.clear();
        let dropped: Vec<_> = waiting.by_network.values_mut().map(|lane| std::mem::take(&mut lane.jobs)).collect();
        drop(waiting);
        self.news.notify_all();
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`Seats::next`] found.
pub(crate) enum Next<J> {
    /// A job; its seat is taken until it is done.
    Job(J, Seat<J>),
    /// None in that time.
    Nothing,
    /// None ever.
    Closed,
}

impl<J> Seat<J> {
    /// Waits in this seat.
    pub(crate) fn wait_with(self, job: J) {
        let (seats, network) = (Arc::clone(&self.seats), self.network);
        let mut waiting = seats.lock();
        if waiting.closed {
            drop(waiting);
            return;
        }
        // A seat is taken, so there is a lane.
        if let Some(lane) = waiting.by_network.get_mut(&network) {
            lane.jobs.push_back((job, self));
            if lane.jobs.len() == 1 {
                waiting.turns.push_back(network);
            }
        }
        drop(waiting);
        seats.news.notify_one();
    }
}

impl<J> Drop for Seat<J> {
    fn drop(&mut self) {
        let mut waiting = self.seats.lock();
        waiting.taken -= 1;
        if let Some(lane) = waiting.by_network.get_mut(&self.network) {
            lane.taken -= 1;
            if lane.taken == 0 {
                waiting.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client_address::ClientAddress;

    fn network(number: u8) -> Network {
        ClientAddress([192, 0, 2, number].into()).network()
    }

    fn take_all(seats: &Arc<Seats<u32>>, number: u8) -> Vec<Seat<u32>> {
        std::iter::from_fn(|| seats.take(network(number))).collect()
    }

    #[test]
    fn one_network_gets_half_and_each_that_comes_finds_a_seat() {
        let seats = Seats::<u32>::new(64);
        let first = take_all(&seats, 1);
        assert_eq!(first.len(), 32);
        let rest: Vec<_> = (2..5).map(|number| take_all(&seats, number)).collect();
        assert_eq!(rest.iter().map(Vec::len).collect::<Vec<_>>(), [16, 8, 4]);
        assert!(seats.take(network(9)).is_some());
        drop((first, rest));
        assert_eq!(take_all(&seats, 1).len(), 32, "seats that were given back are there again");
        assert!(seats.lock().by_network.is_empty(), "and nothing is kept of who had them");
    }

    #[test]
    fn networks_have_their_turns() {
        let seats = Seats::new(64);
        for job in 0..10 {
            seats.take(network(1)).unwrap().wait_with(job);
        }
        for job in [100, 101] {
            seats.take(network(2)).unwrap().wait_with(job);
        }
        let next = || match seats.next(Duration::ZERO) {
            Next::Job(job, _) => job,
            Next::Nothing | Next::Closed => panic!("there are jobs"),
        };
        let order: Vec<_> = (0..12).map(|_| next()).collect();
        assert_eq!(order, [0, 100, 1, 101, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(matches!(seats.next(Duration::ZERO), Next::Nothing));
    }

    #[test]
    fn who_waits_at_the_end_is_let_go() {
        let seats = Seats::new(4);
        seats.take(network(1)).unwrap().wait_with(());
        let seat = seats.take(network(1)).unwrap();
        seats.close();
        seat.wait_with(());
        assert!(matches!(seats.next(Duration::from_secs(60)), Next::Closed));
        assert_eq!(seats.lock().taken, 0);
    }
}
