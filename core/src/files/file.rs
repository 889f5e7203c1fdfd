//! Files of ours, in a directory of ours or one that somebody named.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::distrust::{Distrust, me};

const OTHERS: u32 = 0o077;

/// Makes a file that is not there yet, to be written.
///
/// # Errors
/// Something has that name already, a link that leads nowhere too; or it can't be made.
pub fn create(path: &Path) -> io::Result<File> {
    let file = options().write(true).create_new(true).mode(0o600).open(path)?;
    // The umask can only take rights away: this gives its owner back what it took.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Opens a file of ours in the way that is asked for, such as for reading.
///
/// # Errors
/// It is not there, or is not ours ([`Distrust`]).
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without O_NONBLOCK the open of a FIFO that somebody put there waits for ever.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
    let file =
        options.custom_flags(flags).open(path).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ELOOP) => Distrust::link(path),
            _ => error,
        })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Distrust::refuse(path, "is not a file", format!("remove {}", path.display())));
    }
    if found.uid() != me() {
        return Err(Distrust::foreign(path, found.uid()));
    }
    Ok(file)
}

/// Opens a file of ours, or makes it. What others could do with it before, they can't any more.
///
/// # Errors
/// As [`open`] and [`create`].
pub fn open_or_create(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = match create(path) {
        Ok(_) => open(path, how)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(path, how)?,
        Err(error) => return Err(error),
    };
    let mode = file.metadata()?.mode();
    if mode & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(mode & 0o700))?;
    }
    Ok(file)
}

/// Whether a file of ours is there, and nobody else may do anything with it any more.
///
/// # Errors
/// It is there and not ours ([`Distrust`]), or can't be looked at.
pub fn check(path: &Path) -> io::Result<bool> {
    match open(path, OpenOptions::new().read(true)) {
        Ok(file) => {
            let mode = file.metadata()?.mode();
            if mode & OTHERS != 0 {
                file.set_permissions(Permissions::from_mode(mode & 0o700))?;
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a file of ours holds.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The secret that a file of ours holds.
///
/// # Errors
/// As [`open`]; others can read it ([`Distrust`]); it is no text.
pub fn read_secret(path: &Path) -> io::Result<String> {
    let mut file = open(path, OpenOptions::new().read(true))?;
    let mode = file.metadata()?.mode();
    if mode & OTHERS != 0 {
        let what = format!("can be read by others (mode {:o})", mode & 0o777);
        return Err(Distrust::refuse(path, what, format!("chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a file of ours in one piece: a reader sees the old one or the new one, after a crash as well.
///
/// # Errors
/// It can't be written; then it is as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // Another process may replace the same file at the same time.
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // What a crash left of a process with this number. Removing a link removes the link.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, path)).inspect_err(|_| drop(std::fs::remove_file(&new)))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits());
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_only_and_what_was_not_becomes_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"one").unwrap();
        assert_eq!((mode(&path), read(&path).unwrap()), (0o600, b"one".to_vec()));
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        drop(open_or_create(&path, OpenOptions::new().append(true)).unwrap());
        assert_eq!(mode(&path), 0o600);
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn no_link_is_followed_and_none_is_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "somebody's").unwrap();
        symlink(&target, &link).unwrap();
        let how = || OpenOptions::new().write(true).clone();
        for error in [read(&link).unwrap_err(), open_or_create(&link, &mut how()).unwrap_err()] {
            assert!(Distrust::of(&error).unwrap().what.starts_with("is a symbolic link to /"), "{error}");
        }
        assert_eq!(create(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        symlink(&target, dir.path().join(format!("link.{}.new", std::process::id()))).unwrap();
        replace(&link, b"ours").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"somebody's");
        assert!(!link.is_symlink() && mode(&link) == 0o600);
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(Distrust::of(&read(&path).unwrap_err()).unwrap().what, "is not a file");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_and_the_fix_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        replace(&path, b"op_secret").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "op_secret");
        for readable in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, Permissions::from_mode(readable)).unwrap();
            let error = read_secret(&path).unwrap_err();
            assert_eq!(Distrust::of(&error).unwrap().fix, format!("chmod 600 {}", path.display()));
            assert!(!error.to_string().contains("op_secret"));
        }
    }

    #[test]
    fn what_is_somebody_elses_is_refused_as_root_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        replace(&path, b"planted by somebody").unwrap();
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
            return; // Only root can give a file away.
        }
        for error in [read(&path).unwrap_err(), read_secret(&path).unwrap_err(), check(&path).unwrap_err()] {
            assert!(Distrust::of(&error).unwrap().what.starts_with("is owned by user 65534"), "{error}");
        }
    }
}
