//! Whether the control group of this process has a quota of processor time, and how often it had run out.
//!
//! A group that has used up its quota stands still until the next period, a tenth of a second as a rule: too short to be
//! noticed as a standstill, and longer than most answers take. Versions 1 and 2 of control groups count that in `cpu.stat`.
//! A quota of a group further up holds for all below it, so each of them is read; the container's own is the topmost that
//! can be seen from within.

use std::path::{Path, PathBuf};

/// The counts of the groups that this process is in.
#[derive(Debug)]
pub(super) struct Quota {
    files: Vec<PathBuf>,
    last: Vec<Option<Periods>>,
}

/// Periods in which the group ran, and those of them in which its quota ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Periods {
    all: u64,
    throttled: u64,
}

impl Quota {
    /// Of this process; it is taken to stay in its group.
    pub(super) fn of_process() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::of(files(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo")))
    }

    fn of(files: Vec<PathBuf>) -> Self {
        let last = files.iter().map(|file| periods(file)).collect();
        Self { files, last }
    }

    /// In which share of the periods since the last look the quota ran out, in the group where that was worst; none where
    /// no group has a quota, or no period has ended.
    pub(super) fn look(&mut self) -> Option<f64> {
        let now: Vec<_> = self.files.iter().map(|file| periods(file)).collect();
        let shares = self.last.iter().zip(&now).filter_map(|(before, after)| share((*before)?, (*after)?));
        let worst = shares.reduce(f64::max);
        self.last = now;
        worst
    }
}

#[expect(clippy::cast_precision_loss, reason = "periods of a second")]
fn share(before: Periods, after: Periods) -> Option<f64> {
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    Some(after.throttled.saturating_sub(before.throttled).min(all) as f64 / all as f64)
}

fn periods(file: &Path) -> Option<Periods> {
    parse(&std::fs::read_to_string(file).ok()?)
}

fn parse(stat: &str) -> Option<Periods> {
    let of = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    Some(Periods { all: of("nr_periods")?, throttled: of("nr_throttled")? })
}

/// The `cpu.stat` of every group of a process that can be seen, by its `cgroup` and `mountinfo` of proc(5).
fn files(groups: &str, mounts: &str) -> Vec<PathBuf> {
    groups.lines().filter_map(|line| of_group(line, mounts)).flatten().collect()
}

/// A line is `number:controllers:path`; version 2 names no controllers.
fn of_group(line: &str, mounts: &str) -> Option<Vec<PathBuf>> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let is_version_2 = controllers.is_empty();
    if !is_version_2 && !controllers.split(',').any(|name| name == "cpu") {
        return None;
    }
    let (root, at) = mounts.lines().find_map(|line| {
        // … root mount-point options [optional fields] - type source super-options
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1)?);
        let is_it =
            if is_version_2 { kind == "cgroup2" } else { kind == "cgroup" && options.split(',').any(|o| o == "cpu") };
        is_it.then_some((mount.next()?, mount.next()?))
    })?;
    // A path that does not lie below what is mounted is told as the host sees it: what is mounted is the process's own.
    let below = Path::new(path).strip_prefix(root).ok().filter(|path| !path.starts_with(".."));
    let own = Path::new(at).join(below.unwrap_or(Path::new("")));
    Some(own.ancestors().take_while(|group| group.starts_with(at)).map(|group| group.join("cpu.stat")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(groups: &str, mounts: &str) -> Vec<String> {
        files(groups, mounts).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn the_groups_of_a_process_are_found_in_both_versions_and_from_within_a_container() {
        let v2 = "34 24 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            names("0::/user.slice/run.scope\n", v2),
            [
                "/sys/fs/cgroup/user.slice/run.scope/cpu.stat",
                "/sys/fs/cgroup/user.slice/cpu.stat",
                "/sys/fs/cgroup/cpu.stat"
            ]
        );
        assert_eq!(names("0::/\n", v2), ["/sys/fs/cgroup/cpu.stat"], "a namespace of its own");
        assert_eq!(names("0::/../other\n", v2), ["/sys/fs/cgroup/cpu.stat"], "outside of it");
        let v1 = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  36 31 0:33 /docker/7f /sys/fs/cgroup/cpu,cpuacct ro,relatime master:15 - cgroup cgroup rw,cpu,cpuacct\n\
                  37 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let groups = "9:memory:/docker/7f\n4:cpu,cpuacct:/docker/7f/inner\n0::/docker/7f\n";
        let cpu = "/sys/fs/cgroup/cpu,cpuacct";
        assert_eq!(
            names(groups, v1),
            [
                format!("{cpu}/inner/cpu.stat"),
                format!("{cpu}/cpu.stat"),
                "/sys/fs/cgroup/unified/docker/7f/cpu.stat".to_owned(),
                "/sys/fs/cgroup/unified/docker/cpu.stat".to_owned(),
                "/sys/fs/cgroup/unified/cpu.stat".to_owned()
            ]
        );
        assert_eq!(names("4:cpu,cpuacct:/kubepods/pod1\n", v1), [format!("{cpu}/cpu.stat")], "as the host sees it");
        assert_eq!(names("nonsense\n0::/\n", ""), Vec::<String>::new());
    }

    #[test]
    fn the_share_is_of_the_periods_since_the_last_look() {
        // As Linux 6.1 writes it for a group with `cpu.max` of 20000 100000, a second apart.
        let v2 = |all, throttled| {
            format!(
                "usage_usec 204177\nuser_usec 172093\nsystem_usec 32083\nnr_periods {all}\nnr_throttled {throttled}\n\
                 throttled_usec 812345\nnr_bursts 0\nburst_usec 0\n"
            )
        };
        let v1 = |all, throttled| format!("nr_periods {all}\nnr_throttled {throttled}\nthrottled_time 812345000\n");
        let of = |text: String| parse(&text).unwrap();
        assert_eq!(share(of(v2(10, 3)), of(v2(20, 12))), Some(0.9));
        assert_eq!(share(of(v1(10, 3)), of(v1(20, 3))), Some(0.0));
        assert_eq!(share(of(v2(10, 3)), of(v2(10, 3))), None);
        // A group without a quota, or the root: there are no counts, or they stay 0.
        assert_eq!(parse("usage_usec 204177\nuser_usec 172093\n"), None);
        assert_eq!(share(of(v1(0, 0)), of(v1(0, 0))), None);
    }

    #[test]
    fn of_several_groups_the_worst_counts() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = ["inner", "outer", "gone"].map(|name| dir.path().join(name)).into();
        let write = |file: &Path, all: u64, throttled: u64| {
            std::fs::write(file, format!("nr_periods {all}\nnr_throttled {throttled}\n")).unwrap();
        };
        write(&files[0], 0, 0);
        write(&files[1], 5, 5);
        let mut quota = Quota::of(files.clone());
        assert_eq!(quota.look(), None);
        write(&files[0], 10, 1);
        write(&files[1], 15, 10);
        assert_eq!(quota.look(), Some(0.5));
    }
}
