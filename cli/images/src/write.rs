//! Files that are whole or not there.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::ImageError;

/// What a file is called while it is written: [`sweep`] knows it by that.
const PARTIAL: &str = ".partial-";

/// Writes a file under another name and renames it: at no moment is half of it under its own name.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(dir)?;
        file.write_all(bytes)?;
        // A daemon of another user reads it.
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| ImageError::write(path, &error))
}

/// Removes what writers that were killed left. Who calls holds the store's lock, so nobody writes.
pub(crate) fn sweep(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PARTIAL)) {
        let _ = std::fs::remove_file(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_written_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.tar");
        whole(&path, b"old").unwrap();
        // A directory can't be replaced by a file, whoever asks (tests may run as root).
        let taken = dir.path().join("taken");
        std::fs::create_dir_all(taken.join("full")).unwrap();
        let error = whole(&taken, b"new").unwrap_err();
        assert_eq!(error.code, "unwritable");
        assert!(error.fix.is_some());
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn what_a_killed_writer_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".partial-abc"), b"half").unwrap();
        std::fs::write(dir.path().join("image.tar"), b"whole").unwrap();
        sweep(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
