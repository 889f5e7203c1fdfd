//! The loader and the libraries of a program that is linked dynamically, found as the loader itself finds them.
//!
//! Not found are libraries that a program opens by name while it runs (`dlopen`): nothing in the file tells of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};

use crate::elf::Object;
use crate::error::{ErrorKind, ImageError};
use crate::platform::Architecture;

/// Files for the image by their path in it, and where else the loader must look in it.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// For `LD_LIBRARY_PATH`: directories that the loader does not know by itself.
    pub(crate) directories: BTreeSet<PathBuf>,
}

/// A file that asks for libraries: where it is here, where it will be in the image.
struct Asker {
    name: String,
    here: PathBuf,
    there: PathBuf,
    object: Object,
    /// `DT_RPATH` of those that asked for it, this side and that.
    inherited: Vec<(PathBuf, PathBuf)>,
}

/// Where libraries come from.
pub(crate) struct Search {
    /// `/`, or the root of another system.
    root: PathBuf,
    architecture: Architecture,
    /// What the loader looks through by itself.
    trusted: Vec<PathBuf>,
    /// What this system's `/etc/ld.so.conf` adds.
    configured: Vec<PathBuf>,
}

impl Search {
    pub(crate) fn new(root: &Path, architecture: Architecture) -> Self {
        let triple = format!("{}-linux-gnu", architecture.triple());
        let trusted = ["lib", "usr/lib"]
            .into_iter()
            .flat_map(|dir| [format!("/{dir}/{triple}"), format!("/{dir}64"), format!("/{dir}")])
            .map(PathBuf::from)
            .collect();
        let mut configured = Vec::new();
        read_configuration(root, &root.join("etc/ld.so.conf"), &mut configured, 0);
        Self { root: root.to_owned(), architecture, trusted, configured }
    }

    /// Everything that `program` needs, which will be at `there` in the image.
    pub(crate) fn closure(&self, program: &Path, there: &Path, object: Object) -> Result<Closure, ImageError> {
        let mut closure = Closure::default();
        let mut known = BTreeSet::new();
        if let Some(loader) = object.interpreter.clone() {
            let path = PathBuf::from(&loader);
            let here = self.here(&path);
            let bytes = std::fs::read(&here).map_err(|_| missing(&loader, program, std::slice::from_ref(&path)))?;
            // libc asks for the loader by its name.
            known.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
            closure.files.insert(path, bytes);
        }
        let name = program.display().to_string();
        let mut askers = VecDeque::from([Asker {
            name,
            here: program.to_owned(),
            there: there.to_owned(),
            object,
            inherited: Vec::new(),
        }]);
        while let Some(asker) = askers.pop_front() {
            for needed in &asker.object.needed {
                if known.insert(needed.clone()) {
                    let (found, bytes) = self.find(needed, &asker, &mut closure)?;
                    closure.files.insert(found.there.clone(), bytes);
                    askers.push_back(found);
                }
            }
        }
        Ok(closure)
    }

    fn find(&self, needed: &str, asker: &Asker, closure: &mut Closure) -> Result<(Asker, Vec<u8>), ImageError> {
        let rpath = self.expand(&asker.object.rpath, asker);
        let inherited: Vec<_> = rpath.into_iter().chain(asker.inherited.clone()).collect();
        let own = self.expand(&asker.object.runpath, asker);
        let system = |dirs: &[PathBuf]| dirs.iter().map(|dir| (self.here(dir), dir.clone())).collect::<Vec<_>>();
        // A DT_RUNPATH turns off what is inherited.
        let before = if asker.object.runpath.is_empty() { inherited.clone() } else { Vec::new() };
        let asked = before.into_iter().chain(own).map(|dirs| (dirs, false));
        let configured = system(&self.configured).into_iter().map(|dirs| (dirs, true));
        let trusted = system(&self.trusted).into_iter().map(|dirs| (dirs, false));
        // A name with a slash is a path, and is looked for nowhere else.
        let candidates: Vec<_> = match needed.contains('/') {
            true => vec![((self.root.clone(), PathBuf::from("/")), false)],
            false => asked.chain(configured).chain(trusted).collect(),
        };
        let needed_below = needed.trim_start_matches('/');
        let mut looked = Vec::new();
        for ((here, there), is_configured) in candidates {
            let path = here.join(needed_below);
            looked.push(there.clone());
            let Ok(bytes) = std::fs::read(&path) else { continue };
            // As the loader does: a library for another processor is passed over.
            let Ok(object) = Object::parse(&path, &bytes) else { continue };
            if object.architecture != Some(self.architecture) {
                continue;
            }
            if is_configured && !self.trusted.contains(&there) {
                closure.directories.insert(there.clone());
            }
            let there = there.join(needed_below);
            return Ok((Asker { name: needed.to_owned(), here: path, there, object, inherited }, bytes));
        }
        looked.dedup();
        Err(missing(needed, Path::new(&asker.name), &looked))
    }

    /// Directories of a `DT_RPATH` or `DT_RUNPATH`, this side and that; `$ORIGIN` is where the file is.
    fn expand(&self, paths: &[String], asker: &Asker) -> Vec<(PathBuf, PathBuf)> {
        let directory = |file: &Path| file.parent().unwrap_or(Path::new("/")).display().to_string();
        let (here, there) = (directory(&asker.here), directory(&asker.there));
        let put =
            |path: &str, origin: &str| clean(Path::new(&path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)));
        paths
            .iter()
            .filter(|path| !path.is_empty())
            .map(|path| {
                let is_relative_to_file = path.contains("$ORIGIN") || path.contains("${ORIGIN}");
                let there = put(path, &there);
                (if is_relative_to_file { put(path, &here) } else { self.here(&there) }, there)
            })
            .collect()
    }

    fn here(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Without `.` and `..`, as text: what they mean in the image has nothing to do with links here.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// `ld.so.conf` is a list of directories and of `include`s with `*`.
fn read_configuration(root: &Path, file: &Path, into: &mut Vec<PathBuf>, depth: usize) {
    let Ok(text) = std::fs::read_to_string(file) else { return };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix("include") {
            Some(pattern) if depth < 4 => {
                let pattern = Path::new(pattern.trim());
                let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name()) else { continue };
                let dir = match dir.is_absolute() {
                    true => root.join(dir.strip_prefix("/").unwrap_or(dir)),
                    false => file.parent().unwrap_or(root).join(dir),
                };
                let name = name.to_string_lossy();
                let (begin, end) = name.split_once('*').unwrap_or((&name, ""));
                let matches = |name: &str| match pattern.to_string_lossy().contains('*') {
                    true => name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end),
                    false => name == begin,
                };
                let mut found: Vec<_> = std::fs::read_dir(dir)
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|path| path.file_name().is_some_and(|name| matches(&name.to_string_lossy())))
                    .collect();
                found.sort();
                found.iter().for_each(|path| read_configuration(root, path, into, depth + 1));
            }
            None if line.starts_with('/') => into.push(PathBuf::from(line)),
            _ => {}
        }
    }
}

fn missing(library: &str, asker: &Path, looked: &[PathBuf]) -> ImageError {
    let looked: Vec<_> = looked.iter().map(|dir| dir.display().to_string()).collect();
    ImageError::new(
        "missing-library",
        ErrorKind::Environment,
        format!("{library}, which {} needs, is not on this machine", asker.display()),
    )
    .evidence(format!("looked in {}", looked.join(", ")))
    .fix(format!("install the package that has {library}, or link statically: cardctl images build --linkage static"))
}

#[cfg(test)]
mod tests;
