//! Where an instance keeps what.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use card_core::files;
use serde::{Deserialize, Serialize};

use super::marker;

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

    /// Of an instance that has no state here: a place where nothing is and nothing can be made. For commands that speak to a
    /// platform elsewhere.
    #[must_use]
    pub fn nowhere(name: &str) -> Self {
        Self { name: name.to_owned(), dir: Path::new("/dev/null/cardctl").join(name) }
    }

    /// Makes the directory, for its owner only, and marks it as made here.
    ///
    /// # Errors
    /// It can't be made, or is not to be trusted.
    pub fn create(&self) -> io::Result<()> {
        let (base, names) = self.parts();
        files::make(base, &names)?;
        marker::put(&self.dir)
    }

    /// Looks at the directory before anything in it is believed, and at what lies in it. What is returned is there and is not
    /// ours: it is not used.
    ///
    /// # Errors
    /// The directory is not to be trusted.
    pub fn check(&self) -> io::Result<Vec<io::Error>> {
        let (base, names) = self.parts();
        if !base.exists() || !files::find(base, &names)? {
            return Ok(Vec::new());
        }
        let data = &self.dir;
        let files = [
            self.record(),
            self.lock(),
            self.cluster(),
            self.deployment(),
            self.log(),
            self.old_log(),
            Self::ledger(data),
            Self::signing_key(data),
            Self::operator_token(data),
        ];
        let looked = |path: &Path| files::open(path, std::fs::OpenOptions::new().read(true));
        let foreign = |path: PathBuf| looked(&path).err().filter(|error| files::Distrust::of(error).is_some());
        Ok(files.into_iter().filter_map(foreign).collect())
    }

    /// What anybody may have made, and what must be ours: all instances have one directory around them.
    fn parts(&self) -> (&Path, Vec<&OsStr>) {
        let around = self.dir.parent().unwrap_or(Path::new("/"));
        let name = self.dir.file_name().unwrap_or_default();
        match (around.parent(), around.file_name()) {
            (Some(base), Some(instances)) if instances == "cardctl" => (base, vec![instances, name]),
            _ => (around, vec![name]),
        }
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
