//! Makes a table of every YAML file under `base`, `components` and `overlays`, so that the program carries them all and
//! none can be forgotten.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files = Vec::new();
    for top in ["base", "components", "overlays"] {
        gather(&here.join(top), &mut files)?;
    }
    let name = |file: &PathBuf| {
        let parts = file.strip_prefix(&here).unwrap_or(file).components();
        parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
    };
    // By the text that is searched for: paths are in another order, `a/x` before `a-b/x`.
    files.sort_by_cached_key(name);
    let mut table = String::from("&[\n");
    for file in files {
        let _ = writeln!(table, "    ({:?}, include_str!({file:?})),", name(&file));
    }
    table.push_str("]\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("files.rs"), table)
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", directory.display());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}
