//! Where manifests are read from: what is compiled in, or anything else that has text by name.

use std::borrow::Cow;
use std::path::Path;

/// Text by name. Names are paths with `/`, without a `.` or `..` in them.
pub trait Files {
    /// The text of a file. None if there is none by that name.
    fn text(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// What is on this machine's disk. Names are absolute paths without the first slash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

/// More than this is no manifest.
const LARGEST: u64 = 16 * 1024 * 1024;

impl Disk {
    /// And what a directory is called there.
    pub(crate) fn at(directory: &Path) -> std::io::Result<(Self, String)> {
        let path = directory.canonicalize()?;
        let name = path.to_str().ok_or_else(|| std::io::Error::other("its name is not text"))?;
        Ok((Self, name.trim_start_matches('/').to_owned()))
    }
}

impl Files for Disk {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let file = std::fs::File::open(Path::new("/").join(name)).ok()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST), &mut bytes).ok()?;
        card_yaml::decode(&bytes).ok().map(Cow::Owned)
    }
}

/// The manifests that this program carries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded;

/// By name, sorted.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

impl Embedded {
    /// Every file with its text, by name.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        FILES.iter().copied()
    }
}

impl Files for Embedded {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = FILES.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(Cow::Borrowed(FILES[found].1))
    }
}

/// `../../base` as seen from the directory `overlays/small`. None if it leads out of the root.
pub(crate) fn join(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_name() {
        assert!(Embedded::all().count() > 20);
        for (name, text) in Embedded::all() {
            assert_eq!(Embedded.text(name).as_deref(), Some(text), "{name}");
        }
        assert_eq!(Embedded.text("base/nothing.yaml"), None);
    }

    #[test]
    fn a_path_is_seen_from_its_directory_and_does_not_lead_out() {
        assert_eq!(join("overlays/small", "../../base").as_deref(), Some("base"));
        assert_eq!(join("base", "./server.yaml").as_deref(), Some("base/server.yaml"));
        assert_eq!(join("base", "../../etc/passwd"), None);
    }
}
