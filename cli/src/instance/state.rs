//! State that can't be used: what is wrong with it and what helps. The data is never touched.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use card_core::engine::{EngineError, ErrorKind};
use card_core::files::Distrust;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{AccessFlags, access};

use super::Paths;
use crate::failure::Failure;
use card_core::exit::Exit;

/// The instance's directory can't be made or written.
pub(crate) fn directory(paths: &Paths, error: &io::Error) -> Failure {
    let evidence = match Distrust::of(error) {
        Some(distrust) => distrust.to_string(),
        None => format!("{}: {error}", paths.dir.display()),
    };
    let failure = Failure::new("state-directory", Exit::NotReady, "the state directory can't be used")
        .evidence(evidence)
        .left("nothing was started");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            failure.fix(format!("free space on the disk that holds {}", paths.dir.display()))
        }
        _ => match Distrust::of(error) {
            Some(distrust) => {
                failure.fix(format!("{}; or set XDG_STATE_HOME to a directory that you own", distrust.fix))
            }
            None => failure.fix("set XDG_STATE_HOME to a directory that you can write to"),
        },
    }
}

/// The ledger can't be opened.
pub(super) fn ledger(data: &Path, paths: &Paths, error: &EngineError) -> Failure {
    let path = Paths::ledger(data);
    let shown = path.display();
    let condition = match (error.kind(), condition(&path)) {
        (ErrorKind::DiskFull, _) => {
            return Failure::new("state-disk-full", Exit::NotReady, error.to_string())
                .fix(format!("free space on the disk that holds {shown}"))
                .left(format!("{shown} is unchanged; nothing was started"));
        }
        _ if is_locked(&path) => Condition::InUse,
        // The file's first bytes look well and it is broken all the same.
        (ErrorKind::Broken, Condition::Unremarkable) => Condition::Foreign,
        (_, condition) => condition,
    };
    let (code, fix) = remedy(condition, data, paths);
    let failure = Failure::new(code, Exit::NotReady, error.to_string())
        .fix(fix)
        .left(format!("{shown} is unchanged; nothing was started"));
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match cause.filter(|cause| !error.to_string().contains(cause)) {
        Some(cause) => failure.evidence(cause),
        None => failure,
    }
}

/// What stands in the way of opening the ledger, as far as can be told without opening it: what, and what helps. For an
/// instance that does not run.
#[must_use]
pub fn trouble(paths: &Paths) -> Option<(&'static str, String)> {
    match condition(&Paths::ledger(&paths.dir)) {
        Condition::Unremarkable => None,
        condition => Some(remedy(condition, &paths.dir, paths)),
    }
}

fn remedy(condition: Condition, data: &Path, paths: &Paths) -> (&'static str, String) {
    let path = Paths::ledger(data);
    let name = &paths.name;
    let beside = format!("or start an empty second instance: cardctl --instance {name}-2 up -d");
    match condition {
        Condition::Unremarkable => ("state", "cardctl doctor".to_owned()),
        Condition::ReadOnly => {
            ("state-read-only", format!("chmod u+w {} {}, {beside}", path.display(), data.display()))
        }
        Condition::InUse => (
            "state-in-use",
            format!("find the process that uses it with fuser {} and stop it, {beside}", path.display()),
        ),
        Condition::Newer => ("state-newer", format!("use the cardctl version that wrote it, {beside}")),
        Condition::Foreign => {
            let give_up = format!("to delete the data: cardctl --instance {name} down --purge --yes");
            ("state-damaged", format!("restore a backup of the ledger, {beside}; {give_up}"))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Unremarkable,
    ReadOnly,
    /// No SQLite file, or not one of ours.
    Foreign,
    Newer,
    /// By a process that does not serve this instance.
    InUse,
}

/// Whether an engine has it open: each holds a lock beside the file as long as it does.
fn is_locked(ledger: &Path) -> bool {
    let held = |file| matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)));
    File::open(ledger.with_extension("lock")).is_ok_and(held)
}

/// What the file itself says, from its first bytes (<https://www.sqlite.org/fileformat.html#the_database_header>): the
/// engine's message is for people, and a fix must not depend on its words.
fn condition(path: &Path) -> Condition {
    const APPLICATION_ID: [u8; 4] = *b"card";
    let writable = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    if path.exists() && !(writable(path) && path.parent().is_none_or(writable)) {
        return Condition::ReadOnly;
    }
    let mut header = [0_u8; 72];
    let Ok(()) = File::open(path).and_then(|mut file| file.read_exact(&mut header)) else {
        return Condition::Unremarkable;
    };
    let (magic, version, application) = (&header[..16], &header[60..64], &header[68..72]);
    if magic != b"SQLite format 3\0" || (application != APPLICATION_ID && application != [0; 4]) {
        return Condition::Foreign;
    }
    let version = version.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    if i64::from(version) > card_core::engine::sqlite::SCHEMA_VERSION {
        Condition::Newer
    } else {
        Condition::Unremarkable
    }
}
