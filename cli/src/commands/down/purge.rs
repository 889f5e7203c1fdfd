//! `down --purge`: deletes the instance's directory, all of it, or says why it did not. What is only reachable through it (the
//! target of a symbolic link, a mounted file system, a platform in a cluster) is not its contents: it is named, and nothing
//! is deleted before it is out of the way.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::context::Context;
use crate::failure::Failure;
use crate::instance::{Paths, is_made_here, remove};
use crate::kubernetes::Deployment;
use card_core::exit::Exit;

/// Evidence that is shown of one kind.
const SHOWN: usize = 5;

/// Whether all of it can be deleted; looked at before anything is stopped, and again before anything is deleted.
///
/// # Errors
/// What stands in the way.
pub(super) fn check(context: &Context) -> Result<(), Failure> {
    let paths = &context.instance;
    if paths.dir.symlink_metadata().is_err() {
        return Ok(());
    }
    if let Some(deployment) = Deployment::load(paths) {
        let (program, kind) = (context.program(), deployment.kind.name());
        return Err(refused(
            paths,
            "the instance is also deployed to a Kubernetes cluster, whose record would be lost",
        )
        .evidence(format!("context {:?}, namespace {}", deployment.context, deployment.namespace))
        .fix(format!("{program} down -t {kind} --purge")));
    }
    // One of before there was a sign is known by its lock.
    if !is_made_here(&paths.dir) && !paths.lock().is_file() && !is_empty(&paths.dir) {
        return Err(refused(paths, "it was not created by cardctl")
            .evidence(format!("{} does not have cardctl's marker file", paths.dir.display()))
            .fix(format!("check its contents, then remove it: rm -r {}", paths.dir.display())));
    }
    let mut foreign = mounts(&paths.dir).map_err(|error| unreadable(paths, &error))?;
    links(&paths.dir, &mut foreign).map_err(|error| unreadable(paths, &error))?;
    if !foreign.is_empty() {
        let failure = refused(paths, "part of the data is elsewhere, and cardctl only deletes its own directory");
        return Err(foreign.iter().take(SHOWN).fold(failure, Failure::evidence).fix(
            "remove these links or mounts (rm, umount), with or without their data, then run the same command again",
        ));
    }
    Ok(())
}

/// Deletes it. For who holds the instance's lock.
///
/// # Errors
/// As [`check`], or something could not be deleted.
pub(super) fn delete(context: &Context) -> Result<(), Failure> {
    let paths = &context.instance;
    check(context)?;
    let ledger = Paths::ledger(&paths.dir).with_extension("lock");
    if File::open(&ledger).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()) {
        return Err(refused(paths, "another process has the ledger open")
            .fix(format!("find it with fuser {}, stop it, then run the same command again", ledger.display())));
    }
    let removed = remove(&paths.dir);
    // A directory that is a mount point itself can be emptied and not removed.
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound && !is_empty(&paths.dir) => {
            let failure = Failure::new(
                "not-purged",
                Exit::NotReady,
                format!("{} is only partly deleted: {error}", paths.dir.display()),
            );
            return Err(remains(&paths.dir)
                .iter()
                .take(SHOWN)
                .fold(failure, |failure, path| failure.evidence(format!("{} still exists", path.display())))
                .fix("make them removable (chmod, chattr -i), then run the same command again")
                .left("the platform is stopped; part of its data is deleted"));
        }
        _ => {}
    }
    if let Some(instances) = paths.dir.parent() {
        // Succeeds if this was the last instance.
        let _ = std::fs::remove_dir(instances);
    }
    Ok(())
}

fn refused(paths: &Paths, why: &str) -> Failure {
    Failure::new("not-purged", Exit::NotReady, format!("{} is not deleted: {why}", paths.dir.display()))
        .left("the data is unchanged")
}

fn unreadable(paths: &Paths, error: &io::Error) -> Failure {
    refused(paths, "it can't be searched").evidence(error).fix("run this as the user who started the platform")
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// Symbolic links, with where they lead. None is followed.
fn links(dir: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_symlink() {
            let to = std::fs::read_link(&path).unwrap_or_default();
            found.push(format!("{} is a symbolic link to {}", path.display(), to.display()));
        } else if kind.is_dir() {
            links(&path, found)?;
        }
    }
    Ok(())
}

/// File systems that are mounted below it.
fn mounts(dir: &Path) -> io::Result<Vec<String>> {
    let dir = dir.canonicalize()?;
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let points =
        table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescaped);
    Ok(points
        .filter(|point| point.starts_with(&dir) && *point != dir)
        .map(|point| format!("{} is a mount point", point.display()))
        .collect())
}

/// Spaces and the like are written as `\040` (proc_pid_mountinfo(5)).
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// What is left, the files before the directories that hold them.
fn remains(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(remains(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_mount_point_reads_as_it_is_called() {
        assert_eq!(unescaped(br"/a\040b\134c\x"), Path::new(r"/a b\c\x"));
        assert_eq!(unescaped("/ü\\".as_bytes()).as_os_str().as_bytes(), "/ü\\".as_bytes());
    }

    #[test]
    fn links_are_found_at_any_depth_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("a/b/root")).unwrap();
        let mut found = Vec::new();
        links(dir.path(), &mut found).unwrap();
        assert_eq!(found, [format!("{} is a symbolic link to /", dir.path().join("a/b/root").display())]);
        assert!(
            mounts(dir.path()).unwrap().is_empty()
                && mounts(Path::new("/")).unwrap().iter().any(|m| m.starts_with("/proc"))
        );
    }
}
