//! What an image is made of, as CycloneDX: the crates in its program, the libraries beside it.
//!
//! No time and no serial number in it: it lies in the image, and the same image has the same digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};
use crate::metadata::canonical;
use crate::recipe::Recipe;

/// The crates that are linked into the program of one package, with what each needs.
#[derive(Debug, Clone, Default)]
pub struct Crates {
    /// By the id that cargo gives them.
    crates: BTreeMap<String, Crate>,
}

#[derive(Debug, Clone)]
struct Crate {
    name: String,
    version: String,
    licence: Option<String>,
    /// Of the file that the registry gave.
    checksum: Option<String>,
    needs: BTreeSet<String>,
}

/// What `cargo metadata` says of a whole workspace, for one target.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    resolve: Resolve,
    #[serde(skip)]
    checksums: BTreeMap<(String, String), String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Clone, Deserialize)]
struct DependencyKind {
    /// None: linked into the program. `build` and `dev` are not.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Workspace {
    /// Reads what cargo said, and its lock file.
    pub(crate) fn parse(metadata: &[u8], lock: &str) -> Result<Self, ImageError> {
        let mut workspace: Self = serde_json::from_slice(metadata).map_err(|error| {
            ImageError::new("sbom", ErrorKind::Environment, "the output of cargo metadata can't be read")
                .evidence(error)
        })?;
        let lock: Lock = toml::from_str(lock).map_err(|error| {
            ImageError::new("sbom", ErrorKind::Environment, "Cargo.lock can't be read").evidence(error)
        })?;
        let checksum = |locked: Locked| Some(((locked.name, locked.version), locked.checksum?));
        workspace.checksums = lock.package.into_iter().filter_map(checksum).collect();
        Ok(workspace)
    }

    /// What is linked into the program of this package; none if there is no such package.
    pub(crate) fn crates(&self, package: &str) -> Option<Crates> {
        let packages: BTreeMap<_, _> = self.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<_, _> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut left = vec![self.packages.iter().find(|known| known.name == package)?.id.as_str()];
        let mut crates = BTreeMap::new();
        while let Some(id) = left.pop() {
            let (false, Some(package), Some(node)) = (crates.contains_key(id), packages.get(id), nodes.get(id)) else {
                continue;
            };
            let linked = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let needs: BTreeSet<_> =
                node.deps.iter().filter(linked).map(|dependency| dependency.pkg.as_str()).collect();
            left.extend(needs.iter().copied());
            let checksum = self.checksums.get(&(package.name.clone(), package.version.clone())).cloned();
            let known = Crate {
                name: package.name.clone(),
                version: package.version.clone(),
                // Before SPDX expressions, `/` meant "or".
                licence: package.license.as_ref().map(|licence| licence.replace('/', " OR ")),
                checksum,
                needs: needs.into_iter().map(str::to_owned).collect(),
            };
            crates.insert(id.to_owned(), known);
        }
        Some(Crates { crates })
    }
}

impl Crates {
    /// How many there are, the program's own among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.crates.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.crates.is_empty()
    }
}

impl Crate {
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B"))
    }

    fn document(&self) -> Value {
        let purl = self.purl();
        let mut document = json!({
            "type": "library", "bom-ref": purl, "name": self.name, "version": self.version, "purl": purl,
            "licenses": self.licence.iter().map(|licence| json!({ "expression": licence })).collect::<Vec<_>>(),
        });
        if let Some(checksum) = &self.checksum {
            document["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        document
    }
}

/// The document. `libraries` are the files beside the program, by their path in the image.
pub(crate) fn document(
    recipe: &Recipe,
    binary: &Digest,
    libraries: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<Vec<u8>, ImageError> {
    let main = format!("pkg:generic/{}@{}", recipe.name, recipe.version);
    let hash = |digest: &Digest| json!([{ "alg": "SHA-256", "content": digest.hex() }]);
    let file = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        let name = Path::new("/").join(path).display().to_string();
        json!({ "type": "file", "bom-ref": name, "name": name, "hashes": hash(&Digest::of(bytes)) })
    };
    let own = recipe.crates.as_ref();
    let crates = || own.into_iter().flat_map(|crates| crates.crates.values());
    // A workspace's own crates stand in the program's place; two crates of a name and version are one here.
    let components: BTreeMap<String, Value> = crates()
        .map(|known| (known.purl(), known.document()))
        .chain(libraries.iter().map(file).map(|file| (file["name"].to_string(), file)))
        .collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for known in crates() {
        let of = own.into_iter().flat_map(|own| known.needs.iter().filter_map(|id| own.crates.get(id)));
        needs.entry(known.purl()).or_default().extend(of.map(Crate::purl));
    }
    let program = crates().filter(|known| known.name == recipe.name).map(Crate::purl);
    let beside = libraries.keys().map(|path| Path::new("/").join(path).display().to_string());
    needs.insert(main.clone(), program.chain(beside).collect());
    canonical(&json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": main, "name": recipe.name, "version": recipe.version,
                "hashes": hash(binary), "licenses": [{ "expression": "Apache-2.0 OR MIT" }],
            },
            "properties": [{
                "name": "cardctl:crates", "value": if own.is_some() { "listed" } else { "unknown: not built here" },
            }],
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": needs.into_iter().map(|(of, on)| json!({ "ref": of, "dependsOn": on })).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "packages": [
            {"id": "a", "name": "card-server", "version": "0.1.0", "license": null, "more": 1},
            {"id": "b", "name": "tokio", "version": "1.0.0", "license": "MIT/Apache-2.0"},
            {"id": "c", "name": "cc", "version": "1.0.0", "license": "MIT"},
            {"id": "d", "name": "insta", "version": "1.0.0", "license": "MIT"}
        ],
        "resolve": {"nodes": [
            {"id": "a", "deps": [
                {"pkg": "b", "dep_kinds": [{"kind": null}, {"kind": "dev"}]},
                {"pkg": "c", "dep_kinds": [{"kind": "build"}]},
                {"pkg": "d", "dep_kinds": [{"kind": "dev"}]}
            ]},
            {"id": "b", "deps": []}, {"id": "c", "deps": []}, {"id": "d", "deps": []}
        ]}
    }"#;
    const LOCK: &str = "version = 4\n[[package]]\nname = 'tokio'\nversion = '1.0.0'\nchecksum = 'abc'\n";

    #[test]
    fn only_what_is_linked_is_listed() {
        let workspace = Workspace::parse(METADATA.as_bytes(), LOCK).unwrap();
        let crates = workspace.crates("card-server").unwrap();
        let names: Vec<_> = crates.crates.values().map(|known| known.name.as_str()).collect();
        assert_eq!(names, ["card-server", "tokio"]);
        let tokio = crates.crates["b"].document();
        assert_eq!(tokio["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(tokio["hashes"][0]["content"], "abc");
        assert!(workspace.crates("nothing").is_none());
    }

    #[test]
    fn the_document_says_when_the_crates_are_not_known() {
        let component = crate::Component::ALL[0];
        let platform = "linux/amd64".parse().unwrap();
        let mut recipe = Recipe::new(component, "x".into(), platform);
        let write = |recipe: &Recipe| {
            serde_json::from_slice::<Value>(&document(recipe, &Digest::of(b"x"), &BTreeMap::new()).unwrap()).unwrap()
        };
        let unknown = write(&recipe);
        assert_eq!(unknown["metadata"]["properties"][0]["value"], "unknown: not built here");
        recipe.crates = Workspace::parse(METADATA.as_bytes(), LOCK).unwrap().crates("card-server");
        let known = write(&recipe);
        assert_eq!(known["components"].as_array().unwrap().len(), 2);
        let main =
            known["dependencies"].as_array().unwrap().iter().find(|of| of["ref"] == "pkg:generic/card-server@0.1.0");
        assert_eq!(main.unwrap()["dependsOn"][0], "pkg:cargo/card-server@0.1.0");
    }
}
