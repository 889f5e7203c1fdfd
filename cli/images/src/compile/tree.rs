//! Where the source is, and which crates it is made of.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::toolchain;
use crate::component::Component;
use crate::error::{ErrorKind, ImageError};
use crate::group;
use crate::sbom::{Crates, Workspace};

const PATIENCE: Duration = Duration::from_secs(120);
const TAIL: usize = 6;

/// The source tree that a directory is in.
#[must_use]
pub fn source_tree(from: &Path) -> Option<PathBuf> {
    let from = std::path::absolute(from).ok()?;
    from.ancestors().find(|dir| is_source_tree(dir)).map(Path::to_owned)
}

/// By what it is made of, not by its name: whoever has cloned it calls it as they like.
fn is_source_tree(dir: &Path) -> bool {
    let names = |path: &str, name: &str| {
        std::fs::read_to_string(dir.join(path)).is_ok_and(|text| text.contains(&format!("name = \"{name}\"")))
    };
    dir.join("Cargo.lock").is_file() && names("cli/Cargo.toml", "cardctl") && names("server/Cargo.toml", "card-server")
}

/// The crates of each component's program, as they are linked for this target. Needs no network.
///
/// # Errors
/// cargo is not there, or does not know its crates without a network.
pub async fn workspace_crates(source: &Path, triple: &str) -> Result<BTreeMap<String, Crates>, ImageError> {
    let manifest = source.join("Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", triple];
    let arguments: Vec<_> =
        arguments.map(OsStr::new).into_iter().chain([OsStr::new("--manifest-path"), manifest.as_os_str()]).collect();
    let ended = group::run(&toolchain::cargo(), &arguments, None, PATIENCE).await?;
    if !ended.well {
        let error = ImageError::new("sbom", ErrorKind::Environment, "cargo can't list the crates of the programs");
        let error = group::tail(&ended.stderr, TAIL).into_iter().fold(error, ImageError::evidence);
        return Err(error.fix(format!("cargo fetch --locked --target {triple}")));
    }
    let lock = source.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).map_err(|error| ImageError::read(&lock, &error))?;
    let workspace = Workspace::parse(ended.stdout.as_bytes(), &lock)?;
    let crates = |component: Component| Some((component.name.to_owned(), workspace.crates(component.name)?));
    Ok(Component::ALL.into_iter().filter_map(crates).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_is_in_a_source_tree_and_the_root_is_not() {
        let root = source_tree(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(root.join("cli/images/Cargo.toml").is_file());
        assert_eq!(source_tree(Path::new("/")), None);
    }
}
