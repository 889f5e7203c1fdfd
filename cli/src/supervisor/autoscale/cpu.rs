//! How much CPU processes use: two looks at `/proc/<pid>/stat` and the time between them.

use std::collections::HashMap;
use std::time::Instant;

use nix::unistd::{SysconfVar, sysconf};

use crate::instance::Process;

/// What processes had used when they were looked at last.
#[derive(Debug, Default)]
pub(super) struct Usage {
    last: HashMap<u32, (Process, f64, Instant)>,
}

impl Usage {
    /// Cores that each used since the last look; none for one that was not seen before or is gone.
    pub(super) fn since_last(&mut self, processes: &[Option<Process>]) -> Vec<Option<f64>> {
        let mut seen = HashMap::new();
        let shares = processes.iter().map(|process| {
            let process = (*process)?;
            let (used, now) = (seconds_used(process)?, Instant::now());
            seen.insert(process.pid, (process, used, now));
            let (_, before, then) = self.last.get(&process.pid).filter(|(same, ..)| *same == process)?;
            let elapsed = now.duration_since(*then).as_secs_f64();
            (elapsed > 0.0).then(|| (used - before) / elapsed)
        });
        let shares = shares.collect();
        self.last = seen;
        shares
    }
}

/// User and system time of all its threads.
fn seconds_used(process: Process) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?;
    // The number may have become another's since it was noted.
    process.is_alive().then(|| ticks(&stat))?.map(|ticks| ticks as f64 / ticks_a_second())
}

/// Fields 14 and 15; the name in field 2 may hold spaces and brackets, so it is read from the last bracket on.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn ticks_a_second() -> f64 {
    let known = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    known.map_or(100.0, |ticks| ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_with_brackets() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 120 34 0 0 20 0 1 0 777 1000 10";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn who_works_is_seen_to_work() {
        let mut usage = Usage::default();
        let me = [Some(Process::current()), None];
        assert_eq!(usage.since_last(&me), [None, None]);
        let begun = Instant::now();
        let mut shares = usage.since_last(&me);
        while shares[0].is_none_or(|share| share <= 0.0) {
            assert!(begun.elapsed().as_secs() < 20, "{shares:?}");
            // Busy until the kernel has counted a tick.
            std::hint::black_box((0..1_000_000_u64).sum::<u64>());
            shares = usage.since_last(&me);
        }
    }
}
