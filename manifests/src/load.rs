//! Objects out of files that somebody wrote.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::Disk;
use crate::kustomize::{self, RenderError};
use crate::yaml;

/// More than this is no manifest.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Why a file could not be read as objects.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be read at all.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// Which file or directory.
        path: PathBuf,
        source: std::io::Error,
    },
    /// What is in it is wrong.
    #[error("{path}:{line}: {message}", path = path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong, and what to write instead.
        message: String,
    },
    /// There is nothing in it.
    #[error("{path}: there are no objects in it", path = path.display())]
    Empty {
        /// Which file or directory.
        path: PathBuf,
    },
    /// It is a kustomization that can't be built here.
    #[error("{path}: {source}", path = path.display())]
    Kustomize {
        /// Which directory.
        path: PathBuf,
        source: RenderError,
    },
    /// It is meant for kustomize.
    #[error("{path}: this is a kustomization, not an object; apply it with kubectl apply -k, or render it first", path = path.display())]
    Kustomization {
        /// Which file.
        path: PathBuf,
    },
}

/// The objects of a YAML or JSON file with any number of documents, in its order; of a directory with a kustomization, what
/// that makes; of another directory, those of its `.yaml`, `.yml` and `.json` files, by name; of `-`, those of stdin. What is in a
/// list counts one by one.
///
/// # Errors
/// Something can't be read, is not YAML or JSON as `kubectl` reads it, or is no object.
pub fn load(path: &Path) -> Result<Vec<Value>, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
    let mut objects = Vec::new();
    if path == Path::new("-") {
        let bytes = bounded(std::io::stdin().lock()).map_err(unreadable)?;
        of_bytes(Path::new("stdin"), &bytes, &mut objects)?;
    } else if path.is_dir() {
        if kustomize::NAMES.iter().any(|name| path.join(name).is_file()) {
            let failed = |source| LoadError::Kustomize { path: path.to_owned(), source };
            let (disk, directory) = Disk::at(path).map_err(unreadable)?;
            return kustomize::build(&disk, &directory).map_err(failed);
        }
        let entries = std::fs::read_dir(path).map_err(unreadable)?;
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.retain(|file| {
            file.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        });
        files.sort();
        for file in files {
            of_file(&file, &mut objects)?;
        }
    } else {
        of_file(path, &mut objects)?;
    }
    if objects.is_empty() { Err(LoadError::Empty { path: path.to_owned() }) } else { Ok(objects) }
}

fn of_file(path: &Path, objects: &mut Vec<Value>) -> Result<(), LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::File::open(path).and_then(bounded).map_err(unreadable)?;
    of_bytes(path, &bytes, objects)
}

fn bounded(file: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST + 1), &mut bytes)?;
    if read as u64 > LARGEST {
        return Err(std::io::Error::other("larger than 16 MiB; this is not a manifest"));
    }
    Ok(bytes)
}

fn of_bytes(path: &Path, bytes: &[u8], objects: &mut Vec<Value>) -> Result<(), LoadError> {
    let wrong = |line, message: &str| LoadError::Wrong { path: path.to_owned(), line, message: message.to_owned() };
    let text = card_yaml::decode(bytes).map_err(|error| wrong(error.line.max(1), &error.message))?;
    let documents = yaml::documents(&text).map_err(|error| wrong(error.line.max(1), &error.message))?;
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let is_object = |value: &Value| is_text(&value["kind"]) && is_text(&value["apiVersion"]);
    for (line, document) in documents {
        if !is_object(&document) {
            return Err(wrong(line, "not an object: it has no apiVersion and kind"));
        }
        if document["apiVersion"].as_str().is_some_and(|version| version.starts_with("kustomize.config.k8s.io/")) {
            return Err(LoadError::Kustomization { path: path.to_owned() });
        }
        for object in items(document).map_err(|message| wrong(line, &message))? {
            if !is_object(&object) {
                return Err(wrong(line, "an item of a list is not an object: it has no apiVersion and kind"));
            }
            if !is_text(&object["metadata"]["name"]) {
                return Err(wrong(line, "an object has no metadata.name; without one it can't be found again"));
            }
            let id = |object: &Value| {
                let metadata = &object["metadata"];
                [&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]].map(Clone::clone)
            };
            if objects.iter().any(|known| id(known) == id(&object)) {
                return Err(wrong(line, &format!("{} is given twice", crate::kinds::named(&object))));
            }
            objects.push(object);
        }
    }
    Ok(())
}

/// What is in a list, whose items may leave out what its own kind says; or the object itself. As `kubectl` has it, whatever has
/// `items` is a list.
fn items(mut document: Value) -> Result<Vec<Value>, String> {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    let of_items = kind.strip_suffix("List").unwrap_or(&kind).to_owned();
    let version = document["apiVersion"].take();
    match document.get_mut("items").map(Value::take) {
        None | Some(Value::Null) => {
            // A list of nothing.
            if kind == "List" {
                return Ok(Vec::new());
            }
            document["apiVersion"] = version;
            Ok(vec![document])
        }
        Some(Value::Array(mut items)) => {
            for item in &mut items {
                let Some(fields) = item.as_object_mut() else {
                    return Err("an item of a list is not an object".to_owned());
                };
                let has_kind =
                    fields.get("kind").is_some_and(|kind| kind.as_str().is_some_and(|kind| !kind.is_empty()));
                if !has_kind && !of_items.is_empty() {
                    fields.insert("kind".to_owned(), of_items.as_str().into());
                    fields.insert("apiVersion".to_owned(), version.clone());
                }
                if fields.get("items").is_some_and(Value::is_array) {
                    return Err("a list is in a list, which kubectl does not read".to_owned());
                }
            }
            Ok(items)
        }
        Some(_) => Err("the items of a list are no list".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.yaml");
        std::fs::write(&file, text).unwrap();
        let named = |objects: Vec<Value>| objects.iter().map(crate::kinds::named).collect();
        load(&file).map(named).map_err(|error| error.to_string().replace(&directory.path().display().to_string(), ""))
    }

    const A: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

    #[test]
    fn documents_and_lists_are_objects_in_their_order() {
        let text = format!(
            "{A}---\napiVersion: v1\nkind: List\nitems:\n  - {{apiVersion: v1, kind: Secret, metadata: {{name: s}}}}\n---\n\
             {{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"p\"}}}}\n"
        );
        assert_eq!(loaded(&text).unwrap(), ["configmap/a", "secret/s", "pod/p"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        for (text, reason) in [
            (format!("{A}data:\n  x: no\n"), "/x.yaml:6: no without quotes"),
            (format!("{A}---\n# b\nkind: Secret\n"), "/x.yaml:7: not an object"),
            (format!("{A}---\napiVersion: v1\nkind: Secret\n"), "/x.yaml:6: an object has no metadata.name"),
            (format!("{A}---\n{A}"), "/x.yaml:6: configmap/a is given twice"),
            ("a: [\n".to_owned(), "/x.yaml:1: "),
            (
                "apiVersion: v1\nkind: List\nitems:\n- {metadata: {name: a}}\n".to_owned(),
                "/x.yaml:1: an item of a list is not an object",
            ),
            ("apiVersion: v1\nkind: List\nitems: [1]\n".to_owned(), "/x.yaml:1: an item of a list is not an object"),
            ("apiVersion: v1\nkind: List\nitems: {a: b}\n".to_owned(), "/x.yaml:1: the items of a list are no list"),
            (format!("{A}...\n{A}"), "/x.yaml:6: kubectl ignores what comes after"),
            ("- 1\n".to_owned(), "/x.yaml:1: not an object"),
            ("# nothing\n".to_owned(), "/x.yaml: there are no objects in it"),
            (
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".to_owned(),
                "/x.yaml: this is a kust",
            ),
        ] {
            let error = loaded(&text).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
        assert!(load(Path::new("/nowhere/x.yaml")).unwrap_err().to_string().starts_with("/nowhere/x.yaml: "));
    }

    #[test]
    fn items_take_their_kind_from_their_list() {
        let text = "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n";
        assert_eq!(loaded(text).unwrap(), ["configmap/a", "secret/s"]);
        assert_eq!(loaded(&format!("{A}---\napiVersion: v1\nkind: List\nitems: []\n")).unwrap(), ["configmap/a"]);
    }

    #[test]
    fn a_directory_with_a_kustomization_is_what_that_makes() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("base/kustomization.yaml", "resources: [a.yaml]\n");
        write("base/a.yaml", A);
        write("base/other.yaml", &A.replace("name: a", "name: not-named"));
        write("mine/kustomization.yml", "namespace: mine\nresources: [../base]\n");
        let objects = load(&directory.path().join("mine")).unwrap();
        assert_eq!(objects.iter().map(crate::kinds::named).collect::<Vec<_>>(), ["configmap/a"]);
        assert_eq!(objects[0]["metadata"]["namespace"], "mine");
        write("mine/kustomization.yml", "resources: [../base]\nhelmCharts: []\n");
        assert!(matches!(load(&directory.path().join("mine")), Err(LoadError::Kustomize { .. })));
        write("mine/kustomization.yml", "resources: [../base/a.yaml]\n");
        assert!(load(&directory.path().join("mine")).unwrap_err().to_string().contains("leads out"));
        write("mine/kustomization.yml", "resources: [../mine]\n");
        assert!(load(&directory.path().join("mine")).unwrap_err().to_string().contains("lead back to itself"));
        write("mine/kustomization.yml", "labels: [{pairs: {a: b}}]\nresources: [a.yaml]\n");
        write("mine/a.yaml", &A.replace("  name: a", "  name: a\n  labels: []"));
        assert!(
            load(&directory.path().join("mine")).unwrap_err().to_string().contains("metadata.labels is not a mapping")
        );
    }

    #[test]
    fn a_directory_is_its_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for (name, object) in [("2.yml", "b"), ("1.yaml", "a"), ("readme.md", "x")] {
            std::fs::write(directory.path().join(name), A.replace("name: a", &format!("name: {object}"))).unwrap();
        }
        let named: Vec<_> = load(directory.path()).unwrap().iter().map(crate::kinds::named).collect();
        assert_eq!(named, ["configmap/a", "configmap/b"]);
    }
}
