//! Files of settings: where they are looked for, which of them are believed, and what of a project's file has to be said aloud.
//!
//! A project's file comes with a directory, and who made that is not always who types. So it is believed only if it is ours or
//! root's, it is looked for no further up than the repository or the home directory, and what it says of where secrets go, who is
//! written to or who can reach this machine is named whenever it counts (docs/decisions/0026).

use std::path::{Path, PathBuf};

use card_core::files;
use card_core::settings::{Origin, Resolved};

/// The name of a project's file.
const NAME: &str = "cardctl.toml";

/// The files of settings, the weaker one first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `$XDG_CONFIG_HOME/cardctl/config.toml`.
    pub user: Option<PathBuf>,
    /// `cardctl.toml`, here or further up.
    pub project: Option<PathBuf>,
}

/// A file of settings that is there and is not believed.
#[derive(Debug)]
pub struct Ignored {
    pub path: PathBuf,
    /// What is wrong with it, and what helps.
    pub why: String,
}

impl Sources {
    /// Where they are looked for, whether they exist or not.
    #[must_use]
    pub fn of_process() -> Self {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        let home = home.and_then(|home| home.canonicalize().ok());
        Self {
            user: config.map(|config| config.join("cardctl").join("config.toml")),
            project: std::env::current_dir().ok().map(|here| project(&here, home.as_deref())),
        }
    }

    /// Both, the weaker one first.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.user.as_deref().into_iter().chain(self.project.as_deref())
    }

    /// Those that are not believed are taken out, and returned.
    pub fn doubt(&mut self) -> Vec<Ignored> {
        let doubted = |place: &mut Option<PathBuf>| {
            let why = doubt(place.as_deref()?)?;
            Some(Ignored { path: place.take()?, why })
        };
        [&mut self.user, &mut self.project].into_iter().filter_map(doubted).collect()
    }

    /// Whether a setting comes from the project's file; which file that is.
    #[must_use]
    pub fn project_of(&self, key: &str, settings: &Resolved) -> Option<&Path> {
        let project = self.project.as_deref()?;
        matches!(settings.origins.get(key), Some(Origin::File(path)) if path == project).then_some(project)
    }
}

/// The nearest one from here up to the root of the repository or the home directory; if there is none, where it would be.
fn project(here: &Path, home: Option<&Path>) -> PathBuf {
    for directory in here.ancestors() {
        let path = directory.join(NAME);
        if path.is_file() {
            return path;
        }
        if Some(directory) == home || directory.join(".git").exists() {
            break;
        }
    }
    here.join(NAME)
}

fn doubt(path: &Path) -> Option<String> {
    let error = files::believe(path, caller()).err()?;
    let distrust = files::Distrust::of(&error)?;
    Some(format!("it {}; fix: {}", distrust.what, distrust.fix))
}

/// Who called root's program by sudo: what is theirs is root's then, as git has it.
fn caller() -> Option<u32> {
    let is_root = nix::unistd::geteuid().is_root();
    is_root.then(|| std::env::var("SUDO_UID").ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_ends_at_its_repository_and_at_home() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let inner = root.join("home/repository/deep");
        std::fs::create_dir_all(&inner).unwrap();
        let place = |at: &str| root.join(at).join(NAME);
        std::fs::write(place(""), "").unwrap();
        let home = root.join("home");
        assert_eq!(
            project(&inner, Some(&home)),
            place("home/repository/deep"),
            "what is above home is somebody else's"
        );
        assert_eq!(project(&inner, None), place(""));
        std::fs::write(place("home"), "").unwrap();
        assert_eq!(project(&inner, Some(&home)), place("home"));
        std::fs::create_dir(root.join("home/repository/.git")).unwrap();
        assert_eq!(project(&inner, Some(&home)), place("home/repository/deep"));
        std::fs::write(place("home/repository"), "").unwrap();
        assert_eq!(project(&inner, Some(&home)), place("home/repository"));
    }

    #[test]
    fn what_everybody_could_have_written_is_taken_out() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        std::fs::write(&path, "").unwrap();
        let sources = || Sources { user: None, project: Some(path.clone()) };
        assert!(sources().doubt().is_empty());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let mut doubted = sources();
        let ignored = doubted.doubt();
        assert!(doubted.project.is_none());
        assert!(
            ignored[0].why.starts_with("it can be written by everybody (mode 666); fix: chmod o-w "),
            "{ignored:?}"
        );
    }
}
