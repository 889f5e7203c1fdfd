//! How often a sign-in may fail: so many times a minute for one address and name, in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
const ENTRIES: usize = 65_536;
/// Longer names are no names; cutting them bounds what is kept.
const NAME_LIMIT: usize = 64;

type Key = (IpAddr, String);

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

/// Counts failed sign-ins.
#[derive(Debug)]
pub(crate) struct Logins {
    limit: u32,
    entries: Mutex<HashMap<Key, Failures>>,
}

impl Logins {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, entries: Mutex::default() }
    }

    /// Begins an attempt. It counts as failed from now on, so that many at once are no way around the limit;
    /// [`Attempt::forgive`] takes it back. An error says how long to wait.
    pub(crate) fn begin(&self, address: IpAddr, name: &str, now: Instant) -> Result<Attempt<'_>, Duration> {
        let key = (address, name.chars().take(NAME_LIMIT).collect::<String>().to_ascii_lowercase());
        let mut entries = self.lock();
        if !entries.contains_key(&key) {
            make_room(&mut entries, now);
        }
        let failures = entries.entry(key.clone()).or_insert(Failures { since: now, count: 0 });
        if now.duration_since(failures.since) >= WINDOW {
            *failures = Failures { since: now, count: 0 };
        }
        if failures.count >= self.limit {
            return Err(WINDOW.saturating_sub(now.duration_since(failures.since)));
        }
        failures.count += 1;
        Ok(Attempt { logins: self, key })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(entries: &mut HashMap<Key, Failures>, now: Instant) {
    if entries.len() < ENTRIES {
        return;
    }
    entries.retain(|_, failures| now.duration_since(failures.since) < WINDOW);
    if entries.len() >= ENTRIES {
        // Each entry cost its maker a password hash, so pushing others out this way is slower than waiting.
        let oldest = entries.iter().min_by_key(|(_, failures)| failures.since).map(|(key, _)| key.clone());
        oldest.map(|key| entries.remove(&key));
    }
}

/// A sign-in under way, counted as failed.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    logins: &'a Logins,
    key: Key,
}

impl Attempt<'_> {
    /// It did not fail, or not by a wrong password.
    pub(crate) fn forgive(self) {
        let mut entries = self.logins.lock();
        if let Some(failures) = entries.get_mut(&self.key) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count == 0 {
                entries.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_sixth_failure_in_a_minute_is_refused_and_a_minute_later_is_not() {
        let logins = Logins::new(5);
        let now = Instant::now();
        for _ in 0..5 {
            logins.begin(HERE, "Ada", now).unwrap();
        }
        assert_eq!(logins.begin(HERE, "ada", now + Duration::from_secs(20)).unwrap_err(), Duration::from_secs(40));
        assert!(logins.begin(HERE, "bob", now).is_ok());
        assert!(logins.begin(HERE, "ada", now + WINDOW).is_ok());
    }

    #[test]
    fn a_success_does_not_count() {
        let logins = Logins::new(1);
        for _ in 0..10 {
            logins.begin(HERE, "ada", Instant::now()).unwrap().forgive();
        }
        assert!(logins.lock().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let logins = Logins::new(5);
        let now = Instant::now();
        for number in 0..ENTRIES + 10 {
            logins.begin(HERE, &number.to_string(), now).unwrap();
        }
        assert_eq!(logins.lock().len(), ENTRIES);
    }
}
