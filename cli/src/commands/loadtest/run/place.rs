//! Where a load test leaves its reports: the directory that was asked for, or one of its own in the instance's state,
//! of which the newest are kept.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use card_core::files;
use card_core::ids::RunId;
use card_loadtests::result::Report;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::super::values::Kind;
use super::render::render;
use crate::failure::Failure;
use crate::instance::Paths;
use card_core::exit::Exit;

/// Load tests of an instance that are kept.
const KEPT: usize = 20;
/// Where results are, in the instance's directory.
const HISTORY: &str = "loadtests";
const LEDGER: &str = "journal.jsonl";

/// The directory of one load test.
pub(super) struct Place {
    dir: PathBuf,
    kinds: Vec<Kind>,
    /// The results that the directory belongs to, unless it was asked for.
    history: Option<PathBuf>,
    /// Nobody else writes there meanwhile; none where the file system knows no locks.
    _alone: Option<Flock<File>>,
}

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    /// Names of files, in the directory.
    pub(super) names: Vec<&'static str>,
    /// What could not be written.
    pub(super) failures: Vec<Failure>,
}

impl Place {
    /// Makes the directory and proves that it can be written, before anything is sent.
    pub(super) fn open(out: Option<PathBuf>, kinds: Vec<Kind>, run: &RunId, instance: &Paths) -> Result<Self, Failure> {
        let (dir, history) = match out {
            Some(dir) => (dir, None),
            None => {
                instance.create().map_err(|error| unwritable(&instance.dir, &error))?;
                (history(instance).join(run.as_str()), Some(history(instance)))
            }
        };
        let made = match &history {
            Some(_) => files::make(&instance.dir, &[OsStr::new(HISTORY), OsStr::new(run.as_str())]),
            None => std::fs::create_dir_all(&dir),
        };
        made.and_then(|()| probe(&dir)).map_err(|error| unwritable(&dir, &error))?;
        let alone = alone(&dir)?;
        Ok(Self { dir, kinds, history, _alone: alone })
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the sender's ledger goes.
    pub(super) fn ledger(&self) -> PathBuf {
        self.dir.join(LEDGER)
    }

    /// Writes the reports: each is there as a whole or not at all, and one that fails does not keep the others away.
    pub(super) fn write(&self, report: &Report) -> Written {
        let mut written = Written::default();
        for kind in &self.kinds {
            let path = self.dir.join(kind.file());
            match render(*kind, report).and_then(|text| self.replace(&path, &text).map_err(|e| unwritable(&path, &e))) {
                Ok(()) => written.names.push(kind.file()),
                Err(failure) => written.failures.push(failure),
            }
        }
        if self.ledger().exists() {
            written.names.push(LEDGER);
        }
        written
    }

    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        if self.history.is_some() {
            return files::replace(path, text.as_bytes());
        }
        let dir = path.parent().unwrap_or(Path::new("."));
        // In a directory of somebody's choice, for whom the umask allows.
        let mode = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().prefix(".cardctl-").permissions(mode).tempfile_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Removes what is older than the newest results. What can't be removed is in nobody's way.
    pub(super) fn prune(&self) {
        for old in self.history.iter().flat_map(|history| newest_first(history)).skip(KEPT) {
            let _ = std::fs::remove_dir_all(old);
        }
    }

    /// After a load test that came to nothing.
    pub(super) fn abandon(&self) {
        if self.history.is_some() {
            // Fails, as it should, if there is anything in it.
            let _ = std::fs::remove_dir(&self.dir);
        }
    }
}

/// Where an instance keeps its results, one directory a run.
pub(super) fn history(instance: &Paths) -> PathBuf {
    instance.dir.join(HISTORY)
}

/// The directories in it. The ids of runs that are made up here sort by time.
pub(super) fn newest_first(history: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(history).into_iter().flatten().filter_map(Result::ok);
    // Nothing else is ours to remove: neither a directory by another name nor what a symbolic link leads to.
    let ours = |name: &str| {
        name.strip_prefix("run_").is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let dirs = entries.filter(|entry| {
        entry.file_name().to_str().is_some_and(ours) && entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    let mut dirs: Vec<PathBuf> = dirs.map(|entry| entry.path()).collect();
    dirs.sort_by(|one, other| other.cmp(one));
    dirs
}

/// Keeps a second load test out of a directory: it would take the first one's journal away. The kernel gives the lock back
/// when this process ends, however it ends, and nothing is left in the directory.
fn alone(dir: &Path) -> Result<Option<Flock<File>>, Failure> {
    let opened = File::open(dir).map_err(|error| unwritable(dir, &error))?;
    match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => {
            let message = format!("another load test is writing to {}", dir.display());
            Err(Failure::new("reports", Exit::NotReady, message)
                .fix("set --out to another directory, or wait until that load test has finished"))
        }
        Err(_) => Ok(None),
    }
}

/// A full disk lets an empty file be made.
fn probe(dir: &Path) -> io::Result<()> {
    tempfile::Builder::new().prefix(".cardctl-").tempfile_in(dir)?.write_all(b"Can this be written?")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new("reports", Exit::NotReady, format!("{} can't be written: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            failure.fix("free space on the disk that holds it, or choose another directory with --out")
        }
        _ => failure.fix("set --out to a directory that you can write to"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_and_nothing_else_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let runs: Vec<_> = (0..3).map(|n| format!("run_{n:032x}")).collect();
        for name in runs.iter().map(String::as_str).chain(["notes", "run_", "run_0"]) {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("notes"), dir.path().join(format!("run_{:032x}", 9))).unwrap();
        let found: Vec<_> = newest_first(dir.path()).iter().map(|dir| dir.file_name().unwrap().to_owned()).collect();
        assert_eq!(found, [&runs[2], &runs[1], &runs[0]].map(std::ffi::OsString::from));
    }

    #[test]
    fn old_results_go_and_a_directory_that_was_asked_for_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let instance = Paths { name: "x".into(), dir: dir.path().join("x") };
        for n in 0..25 {
            std::fs::create_dir_all(history(&instance).join(format!("run_{n:032x}"))).unwrap();
        }
        let asked = Place::open(Some(dir.path().join("out")), vec![], &RunId::new(), &instance).unwrap();
        asked.prune();
        assert_eq!(newest_first(&history(&instance)).len(), 25);
        let place = Place::open(None, vec![], &RunId::new(), &instance).unwrap();
        place.prune();
        let left = newest_first(&history(&instance));
        assert_eq!((left.len(), left[0].as_path()), (KEPT, place.dir()));
    }
}
