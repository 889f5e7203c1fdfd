//! Who may serve an instance: one process, as long as it lives.

use std::fs::{File, OpenOptions};
use std::io;

use card_core::files;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::Paths;

/// The right to serve. The kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not looked at")] Flock<File>);

impl Lock {
    /// Takes it, at once; none if another process has it.
    ///
    /// # Errors
    /// The file can't be opened or locked.
    pub fn take(paths: &Paths) -> io::Result<Option<Self>> {
        let file = files::open_or_create(&paths.lock(), OpenOptions::new().write(true))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }
}

/// Whether some process has the lock. False if there is no such file.
///
/// # Errors
/// The file can't be opened or locked.
pub fn is_held(paths: &Paths) -> io::Result<bool> {
    let file = match files::open(&paths.lock(), OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(false),
        Err((_, Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, error)) => Err(error.into()),
    }
}
