//! How busy this process and this machine are.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::time::Instant;

use super::quota::Quota;

/// From now on, memory of this process comes in small pages. Users and tasks are small and many: with huge pages a load
/// generator holds a third more memory, and pays up to a tenth of its time for clearing what it does not use.
pub(super) fn use_small_pages() {
    // Where the system refuses, it only costs more.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Tells this machine, as booted, from others: containers on one machine share its kernel, and its processor.
pub(super) fn identity() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned()).filter(|boot| !boot.is_empty())
}

/// Whether an address is this very machine's, by whatever name or address. What is forwarded from here is taken as here:
/// the forwarding itself is, and what lies behind it can't be seen.
pub(super) async fn is_here(url: &str) -> bool {
    let Some(host) = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(ToOwned::to_owned)) else {
        return false;
    };
    let host = host.trim_matches(['[', ']']);
    if let Ok(address) = host.parse() {
        return is_own(address);
    }
    // A name that can't be looked up now is told by the requests; one that is ours by one address is ours.
    let looked = tokio::time::timeout(Duration::from_secs(4), tokio::net::lookup_host((host, 0))).await;
    looked.is_ok_and(|found| found.is_ok_and(|mut found| found.any(|found| is_own(found.ip()))))
}

/// Whether packets to an address stay on this machine. The system is asked and not a list of interfaces: it knows every
/// alias and every route that ends here. Only an address of one's own can be bound.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let shared = address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast());
    // Nobody listens on the unspecified address: who connects to it comes out here.
    !shared && (address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok())
}

/// Processor time since the last look.
pub(super) struct Processor {
    cores: f64,
    looked: Instant,
    own: Duration,
    machine: Option<Jiffies>,
    quota: Quota,
}

/// Shares of all cores, between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Busy {
    /// This process's.
    pub(super) own: f64,
    /// Everybody's; none where that can't be read.
    pub(super) machine: Option<f64>,
    /// What the machine's host gave to others; none where that can't be read.
    pub(super) stolen: Option<f64>,
    /// Of the periods of this process's quota, those in which it had run out; none where there is no quota.
    pub(super) throttled: Option<f64>,
}

/// What `/proc/stat` counts, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Jiffies {
    idle: u64,
    stolen: u64,
    total: u64,
}

impl Processor {
    #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
    pub(super) fn new() -> Self {
        let quota = Quota::of_process();
        Self { cores: cores() as f64, looked: Instant::now(), own: own(), machine: machine(), quota }
    }

    /// The shares since the last look.
    pub(super) fn look(&mut self) -> Busy {
        let (looked, used, ticks) = (Instant::now(), own(), machine());
        let wall = (looked - self.looked).as_secs_f64().max(1e-6);
        let own = (used.saturating_sub(self.own)).as_secs_f64() / wall / self.cores;
        (self.looked, self.own) = (looked, used);
        let ticks = std::mem::replace(&mut self.machine, ticks).zip(ticks);
        let machine = ticks.and_then(|(before, after)| share(before, after));
        let stolen = ticks.and_then(|(before, after)| stolen(before, after));
        Busy { own: own.min(1.0), machine, stolen, throttled: self.quota.look() }
    }
}

/// None within one tick of the clock.
#[expect(clippy::cast_precision_loss, reason = "ticks of a second")]
fn share(before: Jiffies, after: Jiffies) -> Option<f64> {
    let total = after.total.checked_sub(before.total).filter(|total| *total > 0)?;
    let idle = after.idle.saturating_sub(before.idle).min(total);
    Some(1.0 - idle as f64 / total as f64)
}

/// None within one tick of the clock.
#[expect(clippy::cast_precision_loss, reason = "ticks of a second")]
fn stolen(before: Jiffies, after: Jiffies) -> Option<f64> {
    let total = after.total.checked_sub(before.total).filter(|total| *total > 0)?;
    Some(after.stolen.saturating_sub(before.stolen).min(total) as f64 / total as f64)
}

fn own() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn machine() -> Option<Jiffies> {
    parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)); the rest is within those.
fn parse(stat: &str) -> Option<Jiffies> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let idle = fields.get(3)? + fields.get(4).copied().unwrap_or(0);
    Some(Jiffies { idle, stolen: fields.get(7).copied().unwrap_or(0), total: fields.iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_what_was_not_idle() {
        let before = parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1").unwrap();
        let after = parse("cpu  160 0 90 870 80 0 0 0 7 0\n").unwrap();
        let ticks = |idle, stolen, total| Jiffies { idle, stolen, total };
        assert_eq!((before, after), (ticks(850, 0, 1000), ticks(950, 0, 1200)));
        assert_eq!((share(before, after), share(after, after)), (Some(0.5), None));
        let robbed = parse("cpu  160 0 90 870 80 0 0 50 7 0\n").unwrap();
        assert_eq!((stolen(before, after), stolen(before, robbed)), (Some(0.0), Some(0.2)));
        assert_eq!((parse(""), parse("intr 1"), parse("cpu  1 2")), (None, None, None));
    }

    #[test]
    fn a_process_that_spins_is_busy() {
        let mut processor = Processor::new();
        let until = std::time::Instant::now() + Duration::from_millis(50);
        let mut spun = 0_u64;
        while std::time::Instant::now() < until {
            spun = std::hint::black_box(spun.wrapping_add(1));
        }
        let busy = processor.look();
        assert!(busy.own > 0.0 && busy.own <= 1.0, "{busy:?}");
    }

    /// This machine's address towards others, if it has any: what packets to them would come from.
    fn outward() -> Option<IpAddr> {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        // Reserved for documentation; nothing is sent.
        socket.connect(("192.0.2.1", 9)).ok()?;
        Some(socket.local_addr().unwrap().ip())
    }

    #[tokio::test]
    async fn what_leads_to_this_machine_is_here_by_whatever_name() {
        for (url, here) in [
            ("http://127.0.0.1:7400", true),
            ("http://127.8.9.10:7400", true),
            ("http://[::1]:1", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://0.0.0.0:1", true),
            ("http://localhost", true),
            ("http://192.0.2.1:443", false),
            ("http://[2001:db8::1]:443", false),
            ("http://224.0.0.1", false),
            ("http://255.255.255.255", false),
            ("https://cards.invalid:443", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_here(url).await, here, "{url}");
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
        let known = tokio::net::lookup_host((name.as_str(), 0)).await.is_ok();
        assert_eq!(is_here(&format!("http://{name}:7400")).await, known, "{name}");
        if let Some(own) = outward() {
            assert!(is_here(&format!("http://{own}:7400")).await, "{own}");
        }
    }
}
