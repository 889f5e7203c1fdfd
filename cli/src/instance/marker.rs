//! The sign that a directory was made here, without which nothing is deleted as a whole: a record can name any directory, and
//! a path can lead to one that somebody else made.

use std::io;
use std::path::Path;

use card_core::files;

const NAME: &str = ".made-by-cardctl";
const TEXT: &[u8] = b"cardctl created this directory; `cardctl down --purge` deletes it with everything in it.\n";

/// Puts it into a directory of ours, unless it is there.
pub(super) fn put(dir: &Path) -> io::Result<()> {
    let path = dir.join(NAME);
    match files::check(&path) {
        Ok(true) => Ok(()),
        Ok(false) => files::replace(&path, TEXT),
        Err(error) => Err(error),
    }
}

/// Whether a directory is ours and has it.
#[must_use]
pub fn is_made_here(dir: &Path) -> bool {
    let (Some(around), Some(name)) = (dir.parent(), dir.file_name()) else { return false };
    let is_ours = files::find(around, &[name]).unwrap_or(false);
    is_ours && files::read(&dir.join(NAME)).is_ok_and(|text| text == TEXT)
}

/// Removes a directory, its sign last: one that can only be removed in part is still known for ours the next time.
///
/// # Errors
/// Something in it can't be removed.
pub fn remove(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == NAME {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    std::fs::remove_dir_all(dir)
}

/// Makes a directory with it in the one for temporary files, for its owner only. It goes with the value.
///
/// # Errors
/// It can't be made, or others could put another one in its place.
pub fn temporary(prefix: &str) -> io::Result<tempfile::TempDir> {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    // A TMPDIR that is empty is none; the standard library takes it for the working directory.
    let around = Some(std::env::temp_dir()).filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| "/tmp".into());
    let around = around.canonicalize()?;
    files::above(&around)?;
    let only_ours = || Permissions::from_mode(0o700);
    let dir = tempfile::Builder::new().prefix(prefix).permissions(only_ours()).tempdir_in(around)?;
    // The umask may have taken more away.
    set_permissions(dir.path(), only_ours())?;
    put(dir.path())?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_and_is_ours_has_the_sign() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_made_here(dir.path()));
        put(dir.path()).unwrap();
        assert!(is_made_here(dir.path()));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(!is_made_here(&link), "where a link leads is somebody else's affair");
        std::fs::write(dir.path().join(NAME), "another text").unwrap();
        assert!(!is_made_here(dir.path()));
        assert!(!is_made_here(Path::new("/")));
    }
}
