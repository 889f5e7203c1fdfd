//! Why a file or a directory is not used.

use std::io;
use std::path::{Path, PathBuf};

/// See the module. Travels as the inside of an [`io::Error`], so that it goes wherever those go.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}", path.display())]
pub struct Distrust {
    /// What is not used.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What makes it usable.
    pub fix: String,
}

impl Distrust {
    /// What an error says, if it is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(super) fn refuse(path: &Path, what: impl Into<String>, fix: impl Into<String>) -> io::Error {
        let distrust = Self { path: path.to_owned(), what: what.into(), fix: fix.into() };
        io::Error::new(io::ErrorKind::PermissionDenied, distrust)
    }

    pub(super) fn foreign(path: &Path, owner: u32) -> io::Error {
        let me = me();
        Self::refuse(
            path,
            format!("is owned by user {owner}, not by you (user {me})"),
            // Not chown: what somebody else put there is not to become ours.
            format!("run this as user {owner}, or remove {}", path.display()),
        )
    }

    pub(super) fn link(path: &Path) -> io::Error {
        let to = std::fs::read_link(path).map(|to| format!(" to {}", to.display())).unwrap_or_default();
        Self::refuse(
            path,
            format!("is a symbolic link{to}, which is not followed"),
            format!("put what it leads to in the place of {}", path.display()),
        )
    }
}

/// The user that this process acts as.
pub(super) fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}
