//! Files that somebody names to us, and files that we find where others may put them.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::distrust::{Distrust, me};

const ROOT: u32 = 0;

/// The secret in a file that a variable names. It may be a link, as secrets are that a cluster mounts, and a pipe, as a shell
/// makes of `<(…)`. A file is ours or root's, and only they can read it; root's also by a group, as secrets are that a cluster
/// mounts for a pod's group.
///
/// # Errors
/// It can't be read, is no text, or others can read or could have written it ([`Distrust`]).
pub fn read_named_secret(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    is_secret(path, &file.metadata()?)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Looks at such a file without reading it, for whoever has it read by somebody else: a pipe can be read once.
///
/// # Errors
/// As [`read_named_secret`].
pub fn check_named_secret(path: &Path) -> io::Result<()> {
    is_secret(path, &std::fs::metadata(path)?)
}

fn is_secret(path: &Path, found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        let (owner, mode) = (found.uid(), found.mode() & 0o777);
        if owner != me() && owner != ROOT {
            return Err(Distrust::foreign(path, owner));
        }
        let others = if owner == ROOT { 0o027 } else { 0o077 };
        if mode & others != 0 {
            let fix = format!("chmod 600 {0} (in a pod: defaultMode: 0440 of its volume)", path.display());
            return Err(Distrust::refuse(path, format!("can be read by others (mode {mode:o})"), fix));
        }
    }
    Ok(())
}

/// Whether a file that we came upon says what its reader wants: it is ours, root's, or that user's `besides` (who called us by
/// sudo), and others can't have written it. A link that is none of theirs is not believed, wherever it leads.
///
/// # Errors
/// It is not to be believed ([`Distrust`]), or can't be looked at.
pub fn believe(path: &Path, besides: Option<u32>) -> io::Result<()> {
    for found in [std::fs::symlink_metadata(path)?, std::fs::metadata(path)?] {
        let owner = found.uid();
        if owner != me() && owner != ROOT && Some(owner) != besides {
            return Err(Distrust::foreign(path, owner));
        }
        // The mode of a link says nothing.
        if !found.is_symlink() && found.mode() & 0o002 != 0 {
            let fix = format!("chmod o-w {}", path.display());
            return Err(Distrust::refuse(
                path,
                format!("can be written by everybody (mode {:o})", found.mode() & 0o777),
                fix,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn file(mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_named_secret_may_be_a_link_and_must_not_be_open_to_others() {
        let (dir, path) = file(0o600);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read_named_secret(&link).unwrap(), "text");
        for mode in [0o604, 0o602, 0o644, 0o620] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read_named_secret(&link).unwrap_err();
            assert!(Distrust::of(&error).unwrap().fix.starts_with("chmod 600 "), "{mode:o}: {error}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
        assert_eq!(read_named_secret(&path).is_ok(), me() == ROOT, "by a group only what is root's");
    }

    #[test]
    fn what_everybody_could_have_written_is_not_believed() {
        let (_dir, path) = file(0o664);
        believe(&path, None).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        assert!(Distrust::of(&believe(&path, None).unwrap_err()).unwrap().what.starts_with("can be written"));
    }

    #[test]
    fn what_somebody_else_wrote_is_not_believed_but_for_who_called_by_sudo() {
        let (_dir, path) = file(0o644);
        if chown(&path, Some(65_534), None).is_err() {
            return; // Only root can give a file away.
        }
        assert!(Distrust::of(&believe(&path, None).unwrap_err()).unwrap().what.starts_with("is owned by user 65534"));
        believe(&path, Some(65_534)).unwrap();
        let error = read_named_secret(&path).unwrap_err();
        assert!(Distrust::of(&error).is_some(), "{error}");
    }
}
