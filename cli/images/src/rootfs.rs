//! The files of an image, as one tar that is the same whenever they are the same.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use tar::{Builder, EntryType, Header};

/// The user that everything runs as: a number, so that Kubernetes can tell that it is not root.
pub(crate) const USER: &str = "65532:65532";

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

enum Entry {
    Directory,
    File(Vec<u8>),
}

/// Paths, relative to the root, with their modes. All belong to root: nothing in an image is to be changed by who runs it.
#[derive(Default)]
pub(crate) struct RootFs {
    entries: BTreeMap<PathBuf, (u32, Entry)>,
}

impl RootFs {
    /// What every image has, whatever runs in it.
    pub(crate) fn new(certificates: &[u8]) -> Self {
        let mut files = Self::default();
        files.put("tmp", 0o1777, Entry::Directory);
        for (path, text) in [("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/nsswitch.conf", NSSWITCH)] {
            files.file(path, 0o644, text.into());
        }
        files.file("etc/ssl/certs/ca-certificates.crt", 0o644, certificates.to_vec());
        files
    }

    /// A file with the directories above it.
    pub(crate) fn file(&mut self, path: impl AsRef<Path>, mode: u32, bytes: Vec<u8>) {
        self.put(path, mode, Entry::File(bytes));
    }

    fn put(&mut self, path: impl AsRef<Path>, mode: u32, entry: Entry) {
        let path: PathBuf = path.as_ref().components().filter(|part| matches!(part, Component::Normal(_))).collect();
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            self.entries.entry(above.to_owned()).or_insert((0o755, Entry::Directory));
        }
        self.entries.insert(path, (mode, entry));
    }

    /// Sorted by path; no times, no names of users.
    pub(crate) fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        for (path, (mode, entry)) in &self.entries {
            let bytes: &[u8] = match entry {
                Entry::Directory => &[],
                Entry::File(bytes) => bytes,
            };
            append(&mut tar, path, *mode, matches!(entry, Entry::Directory), bytes)?;
        }
        tar.into_inner()
    }
}

/// One entry that says nothing of when and by whom it was made.
pub(crate) fn append<W: io::Write>(
    tar: &mut Builder<W>,
    path: &Path,
    mode: u32,
    is_directory: bool,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(if is_directory { EntryType::Directory } else { EntryType::Regular });
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    if is_directory {
        tar.append_data(&mut header, format!("{}/", path.display()), bytes)
    } else {
        tar.append_data(&mut header, path, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_order_in_which_files_are_added_makes_no_difference() {
        let mut one = RootFs::new(b"ca");
        one.file("b/x", 0o755, vec![1]);
        one.file("a", 0o644, vec![2]);
        let mut other = RootFs::new(b"ca");
        other.file("/a", 0o644, vec![2]);
        other.file("/b/x", 0o755, vec![1]);
        assert_eq!(one.tar().unwrap(), other.tar().unwrap());
    }

    #[test]
    fn directories_come_before_what_is_in_them_and_have_no_owner_but_root() {
        let mut files = RootFs::new(b"ca");
        files.file("usr/local/bin/x", 0o755, b"program".to_vec());
        let tar = files.tar().unwrap();
        let mut seen = Vec::new();
        for entry in tar::Archive::new(&*tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            let path = entry.path().unwrap().into_owned();
            let parent = path.parent().unwrap();
            assert!(parent.as_os_str().is_empty() || seen.iter().any(|seen: &PathBuf| seen == parent), "{path:?}");
            match path.to_str().unwrap() {
                "tmp/" => assert_eq!(header.mode().unwrap(), 0o1777),
                "usr/local/bin/x" => {
                    assert_eq!(header.mode().unwrap(), 0o755);
                    let mut text = String::new();
                    entry.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "program");
                }
                _ => {}
            }
            seen.push(path);
        }
        assert!(seen.contains(&"usr/local/bin/x".into()) && seen.contains(&"etc/passwd".into()));
    }
}
