//! How many connections there may be, and who makes way when there are more.
//!
//! Nobody waits in front of a full house: a new connection gets the place of one that does nothing, the one that has
//! done nothing for longest. An address that has its share makes way for itself. Only when every connection is at work
//! is a new one told so, in one of a few places kept for that; there, probes and operators are answered all the same.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::watch::{Phase, Watch};
use crate::shares::{Full, Holder, is_within_share, reserve};

/// Closed when room is short: whoever comes back soon has not noticed, who does not has no use for it.
const SHORT_IDLE: Duration = Duration::from_secs(5);
/// Looked for idle connections this often at most while room is short.
const SWEEP: Duration = Duration::from_millis(100);
/// Told to leave and not gone yet, at most.
const LEAVING_AT_ONCE: usize = 16;
/// Waited for them no longer: one may have been asked something just then, and is answered first.
const LEAVING: Duration = Duration::from_millis(50);

/// What a connection may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Regular,
    /// There was no place for it: it is for probes and operators, and for telling others why.
    Reserve(Full),
}

#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug)]
struct Open {
    next: u64,
    places: HashMap<u64, Entry>,
    held: HashMap<Holder, usize>,
    in_reserve: usize,
    /// They have no place any more, and have not closed yet.
    leaving: HashSet<u64>,
    swept: Instant,
}

#[derive(Debug)]
struct Entry {
    watch: Arc<Watch>,
    holder: Holder,
    in_reserve: bool,
}

/// Descriptors that are not for clients: the ledger's files, connections to others, the log.
const OWN_FILES: u64 = 64;

/// What a connection takes while a client keeps it, in bytes: measured, and rounded up.
const CONNECTION: u64 = 20 * 1024;

/// How many connections this process can have open: by its limit of open files, and by half of the memory that its
/// container may take.
#[must_use]
pub fn affordable() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let by_files = files.saturating_sub((files / 8).max(OWN_FILES));
    let by_memory = memory_limit().map_or(u64::MAX, |bytes| bytes / 2 / CONNECTION);
    usize::try_from(by_files.min(by_memory).max(16)).unwrap_or(usize::MAX)
}

/// Lifts the limit of open files as far as the process may. Each connection is a file, and the soft limit of many systems
/// is 1024, for the sake of select(2), which is not used here.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Of the control group that this process is in, where there is one (version 2, as containers see it).
fn memory_limit() -> Option<u64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

impl Room {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let open = Open {
            next: 0,
            places: HashMap::new(),
            held: HashMap::new(),
            in_reserve: 0,
            leaving: HashSet::new(),
            swept: Instant::now(),
        };
        Arc::new(Self { limit: limit.max(1), open: Mutex::new(open), left: Notify::new() })
    }

    /// A place for a connection, until it is dropped. None: not even the reserve has one.
    pub(super) fn enter(self: &Arc<Self>, holder: Holder, watch: &Arc<Watch>) -> Option<Place> {
        let mut open = self.lock();
        let standing = self.standing(&mut open, holder);
        let in_reserve = standing != Standing::Regular;
        if in_reserve && open.in_reserve >= self.reserve() && !open.evict(1, |entry| entry.in_reserve) {
            return None;
        }
        let id = open.next;
        open.next += 1;
        open.places.insert(id, Entry { watch: Arc::clone(watch), holder, in_reserve });
        if in_reserve {
            open.in_reserve += 1;
        } else {
            *open.held.entry(holder).or_default() += 1;
        }
        drop(open);
        Some(Place { room: Arc::clone(self), id, standing })
    }

    /// Waits until those who were told to leave have left, but for a few: each of them still has its file.
    pub(super) async fn settle(&self) {
        let deadline = Instant::now() + LEAVING;
        loop {
            let left = self.left.notified();
            if self.lock().leaving.len() < LEAVING_AT_ONCE || tokio::time::timeout_at(deadline, left).await.is_err() {
                return;
            }
        }
    }

    /// Closes what has done nothing for longest, because the process has no more descriptors.
    pub(super) fn shrink(&self) {
        self.lock().evict(16, |_| true);
    }

    /// More than anybody waits for an answer that takes no work.
    fn reserve(&self) -> usize {
        reserve(self.limit).clamp(4, 256)
    }

    fn standing(&self, open: &mut Open, holder: Holder) -> Standing {
        let free = |open: &Open| self.limit.saturating_sub(open.places.len() - open.in_reserve);
        if free(open) <= self.limit / 8 && open.swept.elapsed() >= SWEEP {
            open.swept = Instant::now();
            let long_idle =
                |entry: &Entry| matches!(entry.watch.phase(), (Phase::Idle, since) if since.elapsed() >= SHORT_IDLE);
            open.evict(usize::MAX, long_idle);
        }
        // In batches, so that a house that stays full is not searched for each who comes.
        if free(open) == 0 && !open.evict((self.limit / 64).max(1), |entry| !entry.in_reserve) {
            return Standing::Reserve(Full::All);
        }
        let held = open.held.get(&holder).copied().unwrap_or_default();
        if is_within_share(holder, held, 1, free(open))
            || open.evict(1, |entry| entry.holder == holder && !entry.in_reserve)
        {
            return Standing::Regular;
        }
        Standing::Reserve(Full::Address)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Takes the places of at most so many connections at rest, those first that rest for longest. Says whether there
    /// were any. They are gone from here at once, and close by themselves.
    fn evict(&mut self, at_most: usize, which: impl Fn(&Entry) -> bool) -> bool {
        let at_rest = self.places.iter().filter(|(_, entry)| which(entry)).filter_map(|(id, entry)| {
            let (phase, since) = entry.watch.phase();
            phase.can_be_closed().then_some((phase, since, *id))
        });
        let mut at_rest: Vec<_> = at_rest.collect();
        if at_most < at_rest.len() {
            at_rest.select_nth_unstable(at_most);
            at_rest.truncate(at_most);
        }
        for (_, _, id) in &at_rest {
            if let Some(entry) = self.remove(*id) {
                self.leaving.insert(*id);
                entry.watch.evict();
            }
        }
        !at_rest.is_empty()
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.places.remove(&id)?;
        if entry.in_reserve {
            self.in_reserve -= 1;
        } else if let Some(held) = self.held.get_mut(&entry.holder) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&entry.holder);
            }
        }
        Some(entry)
    }
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    id: u64,
    pub(super) standing: Standing,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.room.lock();
        open.remove(self.id);
        if open.leaving.remove(&self.id) {
            self.room.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const HERE: Holder = Holder::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    const THERE: Holder = Holder::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)));

    fn other(octet: u8) -> Holder {
        Holder::address([10, 0, 0, octet].into())
    }

    fn connection(phase: Phase) -> Arc<Watch> {
        let watch = Watch::new();
        watch.enter(phase);
        watch
    }

    fn evicted(watch: &Watch) -> bool {
        watch.is_evicted(&std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_room_makes_way_for_who_comes_the_longest_idle_first() {
        let room = Room::new(4);
        let mut places = Vec::new();
        let mut watches = Vec::new();
        for octet in 0..4 {
            let watch = connection(Phase::Idle);
            places.push(room.enter(other(octet), &watch).unwrap());
            watches.push(watch);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        watches[0].enter(Phase::Answering);
        let late = room.enter(HERE, &connection(Phase::New)).unwrap();
        assert_eq!(late.standing, Standing::Regular);
        assert_eq!(watches.iter().map(|watch| evicted(watch)).collect::<Vec<_>>(), [false, true, false, false]);
    }

    #[tokio::test]
    async fn who_is_at_work_is_left_alone_and_a_few_are_told_so() {
        let room = Room::new(8);
        let busy: Vec<_> =
            (0..8).map(|octet| room.enter(other(octet), &connection(Phase::Answering)).unwrap()).collect();
        let reserve: Vec<_> = (0..4).map(|_| room.enter(HERE, &connection(Phase::Answering)).unwrap()).collect();
        assert!(reserve.iter().all(|place| place.standing == Standing::Reserve(Full::All)));
        assert!(room.enter(HERE, &connection(Phase::New)).is_none());
        drop(busy);
        assert_eq!(room.enter(HERE, &connection(Phase::New)).unwrap().standing, Standing::Regular);
    }

    #[tokio::test]
    async fn an_address_makes_way_for_itself() {
        let room = Room::new(100);
        let mut at_work = Vec::new();
        let refused = loop {
            let place = room.enter(HERE, &connection(Phase::Answering)).unwrap();
            match place.standing {
                Standing::Regular => at_work.push(place),
                Standing::Reserve(full) => break full,
            }
        };
        assert_eq!((refused, at_work.len()), (Full::Address, 89));
        assert_eq!(room.enter(THERE, &connection(Phase::New)).unwrap().standing, Standing::Regular);
        at_work.pop();
        let idle = connection(Phase::Idle);
        let _idle = room.enter(HERE, &idle).unwrap();
        assert_eq!(room.enter(HERE, &connection(Phase::New)).unwrap().standing, Standing::Regular);
        assert!(evicted(&idle));
    }

    #[tokio::test]
    async fn proxies_get_every_place_and_the_reserve_is_for_others() {
        let room = Room::new(100);
        let enter = |holder| room.enter(holder, &connection(Phase::Answering)).unwrap();
        let places: Vec<_> = (0..100).map(|_| enter(Holder::Proxies)).collect();
        assert!(places.iter().all(|place| place.standing == Standing::Regular));
        assert_eq!(enter(HERE).standing, Standing::Reserve(Full::All));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_kept_for_a_short_time_only_when_room_is_short() {
        let room = Room::new(16);
        let watches: Vec<_> = (0..14).map(|_| connection(Phase::Idle)).collect();
        let mut places: Vec<_> =
            (0u8..).zip(&watches).map(|(octet, watch)| room.enter(other(octet), watch).unwrap()).collect();
        tokio::time::advance(SHORT_IDLE).await;
        places.push(room.enter(HERE, &connection(Phase::New)).unwrap());
        assert!(watches.iter().all(|watch| evicted(watch)));
    }

    #[tokio::test]
    async fn a_place_is_given_back_once() {
        let room = Room::new(4);
        let watch = connection(Phase::Idle);
        let place = room.enter(HERE, &watch).unwrap();
        room.shrink();
        drop(place);
        let open = room.lock();
        assert!(open.places.is_empty() && open.held.is_empty());
        assert_eq!(open.in_reserve, 0);
    }
}
