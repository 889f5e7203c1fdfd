//! Names of sockets, which may have 107 bytes, in directories whose names are longer.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A path by way of an open directory. Good as long as it lives.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    _directory: File,
}

impl ShortPath {
    /// The short name of a path, whose directory must be there.
    ///
    /// # Errors
    /// The directory can't be opened.
    pub fn of(path: &Path) -> io::Result<Self> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file name"));
        };
        let directory = File::open(directory)?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _directory: directory })
    }

    /// The name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_lies_as_deep_as_one_likes() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("control");
        assert!(UnixListener::bind(&socket).is_err(), "too long a name");
        let _listener = UnixListener::bind(ShortPath::of(&socket).unwrap().path()).unwrap();
        assert!(socket.exists());
        UnixStream::connect(ShortPath::of(&socket).unwrap().path()).unwrap();
    }
}
