//! How long a child that died waits before it is started again.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LAST: Duration = Duration::from_secs(10);
/// Who lived so long died of something new.
const SOUND: Duration = Duration::from_secs(30);

/// Doubles from death to death.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// The wait after a life of this length.
    pub(super) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= SOUND {
            self.0 = FIRST;
        }
        let wait = self.0;
        self.0 = (self.0 * 2).min(LAST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_ten_seconds_and_forgets_after_a_sound_life() {
        let mut backoff = Backoff::new();
        let mut waits = |lived: u64, times: usize| -> Vec<u128> {
            (0..times).map(|_| backoff.after(Duration::from_secs(lived)).as_millis()).collect()
        };
        assert_eq!(waits(0, 9), [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(waits(29, 1), [10_000]);
        assert_eq!(waits(30, 2), [100, 100]);
        assert_eq!(waits(0, 1), [200]);
    }
}
