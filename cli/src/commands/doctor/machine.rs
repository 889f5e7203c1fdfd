//! What the machine must give.

use std::path::{Path, PathBuf};
use std::time::Duration;

use card_core::settings::Origin;
use card_core::time::Instant;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::Check;
use crate::context::Context;
use crate::instance::{Local, Paths, Record, port, trouble};

const FREE_FAIL: u64 = 64 << 20;
const FREE_WARN: u64 = 1 << 30;
const FILES_FAIL: u64 = 256;
const FILES_WARN: u64 = 8192;

pub(super) fn check(context: &Context, local: Local, checks: &mut Vec<Check>) {
    checks.push(settings(context));
    checks.push(state_directory(&context.instance));
    if local == Local::Embedded {
        checks.push(ledger(&context.instance));
    }
    checks.push(free_space(&context.instance));
    checks.push(files());
    checks.push(clock());
    checks.push(free_port(context));
}

/// They were read before any command runs, so they are well; which are not the built-in ones is what surprises.
fn settings(context: &Context) -> Check {
    let given = context.settings.origins.iter().filter(|(_, origin)| **origin != Origin::BuiltIn);
    let given: Vec<_> = given.map(|(key, origin)| format!("{key} ({origin})")).collect();
    let detail = if given.is_empty() { "all are built in".to_owned() } else { given.join(", ") };
    Check::ok("settings", detail)
}

/// The directory, or the nearest one above it that there is.
fn existing(dir: &Path) -> PathBuf {
    dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn state_directory(paths: &Paths) -> Check {
    const NAME: &str = "state directory";
    let dir = existing(&paths.dir);
    // Only a write tells: permissions don't know of read-only mounts, quotas and full disks.
    match tempfile::Builder::new().prefix(".cardctl-doctor-").tempfile_in(&dir) {
        Ok(_) => Check::ok(NAME, paths.dir.display().to_string()),
        Err(error) => Check::fail(NAME, error.to_string(), "set XDG_STATE_HOME to a directory that you can write to"),
    }
}

/// Only looks at the file: opening it is for who serves.
fn ledger(paths: &Paths) -> Check {
    const NAME: &str = "ledger";
    let path = Paths::ledger(&paths.dir);
    match trouble(paths) {
        Some((code, fix)) => Check::fail(NAME, format!("{}: {code}", path.display()), fix),
        None if path.exists() => Check::ok(NAME, path.display().to_string()),
        None => Check::ok(NAME, "not created yet; the first up creates it"),
    }
}

fn free_space(paths: &Paths) -> Check {
    const NAME: &str = "disk space";
    let dir = existing(&paths.dir);
    match statvfs(&dir) {
        Ok(disk) => {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            let detail = format!("{} MiB free in {}", free >> 20, dir.display());
            let fix = format!("free space on the disk that holds {}", dir.display());
            match free {
                ..FREE_FAIL => Check::fail(NAME, detail, fix),
                FREE_FAIL..FREE_WARN => Check::warn(NAME, detail, fix),
                _ => Check::ok(NAME, detail),
            }
        }
        Err(error) => Check::warn(NAME, format!("{}: {error}", dir.display()), "check the disk"),
    }
}

fn files() -> Check {
    const NAME: &str = "open files";
    const FIX: &str = "raise the hard limit: ulimit -Hn 65536, or LimitNOFILE= of the service";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) => {
            let detail = format!("up to {hard}; each connection needs one");
            match hard {
                ..FILES_FAIL => Check::fail(NAME, detail, FIX),
                FILES_FAIL..FILES_WARN => Check::warn(NAME, detail, FIX),
                _ => Check::ok(NAME, detail),
            }
        }
        Err(error) => Check::warn(NAME, error.to_string(), FIX),
    }
}

/// Tokens and due times follow the clock: it must be about right and move like time does.
fn clock() -> Check {
    const NAME: &str = "clock";
    let now = Instant::now();
    let built = jiff::civil::date(2026, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    if built.is_ok_and(|built| now < Instant::from(built)) {
        return Check::fail(
            NAME,
            format!("{now} is before the build date of this program"),
            "set the clock: timedatectl set-ntp true",
        );
    }
    let steady = std::time::Instant::now();
    std::thread::sleep(Duration::from_millis(5));
    let drift = Instant::now().since(now).abs_diff(steady.elapsed());
    if drift > Duration::from_millis(100) {
        return Check::warn(
            NAME,
            format!("it jumped by {drift:?} during the check"),
            "use one time service that adjusts the clock gradually",
        );
    }
    Check::ok(NAME, now.to_string())
}

fn free_port(context: &Context) -> Check {
    const NAME: &str = "port";
    let server = &context.settings.settings.server;
    if let Some(record) = Record::running(&context.instance) {
        return Check::ok(NAME, format!("the platform listens at {}", record.url));
    }
    if server.port == 0 || port::is_free(server.address, server.port) {
        return Check::ok(NAME, format!("{} is free", server.port));
    }
    let holder = port::holder(server.port).map(|holder| format!(", held by {holder}")).unwrap_or_default();
    Check::warn(
        NAME,
        format!("{} is in use{holder}", server.port),
        "nothing to do unless you need this port: up takes the next free one; otherwise set server.port",
    )
}
