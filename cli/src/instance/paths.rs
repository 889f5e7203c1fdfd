//! Where an instance keeps what.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The directory of an instance and what lies in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// The instance.
    pub name: String,
    /// `$XDG_STATE_HOME/cardctl/<name>`.
    pub dir: PathBuf,
}

impl Paths {
    /// The paths of an instance, from the variables of the environment; nothing is created. None if there is neither
    /// an absolute `XDG_STATE_HOME` nor a `HOME`.
    #[must_use]
    pub fn of(name: &str, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<Self> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(Self { name: name.to_owned(), dir: state.join("cardctl").join(name) })
    }

    /// Who serves: see [`super::Record`].
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.dir.join("instance.json")
    }

    /// Held by who serves: see [`super::Lock`].
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// Where a supervisor listens to commands.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.dir.join("control")
    }

    /// Where the data lies if it is not here: see [`crate::cluster::Remembered`].
    #[must_use]
    pub fn cluster(&self) -> PathBuf {
        self.dir.join("cluster.json")
    }

    /// Where it is deployed if it runs in a cluster: see [`crate::kubernetes::Deployment`].
    #[must_use]
    pub fn deployment(&self) -> PathBuf {
        self.dir.join("deployment.json")
    }

    /// What the detached process says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The log before that.
    #[must_use]
    pub fn old_log(&self) -> PathBuf {
        self.dir.join("log.1")
    }

    /// The SQLite file in a data directory.
    #[must_use]
    pub fn ledger(data: &Path) -> PathBuf {
        data.join("ledger.db")
    }

    /// What signs access tokens.
    #[must_use]
    pub fn signing_key(data: &Path) -> PathBuf {
        data.join("signing-key")
    }

    /// What the operator calls need.
    #[must_use]
    pub fn operator_token(data: &Path) -> PathBuf {
        data.join("operator-token")
    }

    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// It can't be made, or is somebody else's.
    pub fn create(&self) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let mode = std::fs::metadata(&self.dir)?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&self.dir, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_state_home_is_ignored_as_the_specification_says() {
        let variables = |name: &str| match name {
            "XDG_STATE_HOME" => Some("relative".into()),
            "HOME" => Some("/home/ada".into()),
            _ => None,
        };
        let paths = Paths::of("default", variables).unwrap();
        assert_eq!(paths.dir, Path::new("/home/ada/.local/state/cardctl/default"));
        assert_eq!(Paths::of("default", |_| None), None);
    }
}
