//! Objects out of files that somebody wrote.

use std::path::{Path, PathBuf};

use serde_json::Value;

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
        /// Why.
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
    /// It is meant for kustomize.
    #[error("{path}: this is a kustomization, which is no object; apply it with kubectl apply -k, or render it first", path = path.display())]
    Kustomization {
        /// Which file.
        path: PathBuf,
    },
}

/// The objects of a YAML or JSON file with any number of documents, in its order; of a directory, those of its `.yaml`,
/// `.yml` and `.json` files, by name; of `-`, those of stdin. What is in a `List` counts one by one.
///
/// # Errors
/// Something can't be read, is not YAML that `kubectl` reads alike, or is no object.
pub fn load(path: &Path) -> Result<Vec<Value>, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
    let mut objects = Vec::new();
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(std::io::stdin().lock(), LARGEST), &mut text)
            .map_err(unreadable)?;
        of_text(Path::new("stdin"), &text, &mut objects)?;
    } else if path.is_dir() {
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
    if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST {
        return Err(unreadable(std::io::Error::other("larger than 16 MiB; this is no manifest")));
    }
    of_text(path, &std::fs::read_to_string(path).map_err(unreadable)?, objects)
}

fn of_text(path: &Path, text: &str, objects: &mut Vec<Value>) -> Result<(), LoadError> {
    let wrong = |line, message: &str| LoadError::Wrong { path: path.to_owned(), line, message: message.to_owned() };
    let documents = yaml::documents(text).map_err(|error| wrong(error.line.max(1), &error.message))?;
    for (line, document) in documents {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        if !is_text(&document["kind"]) || !is_text(&document["apiVersion"]) {
            return Err(wrong(line, "this is no object: it has no apiVersion and kind"));
        }
        if document["apiVersion"].as_str().is_some_and(|version| version.starts_with("kustomize.config.k8s.io/")) {
            return Err(LoadError::Kustomization { path: path.to_owned() });
        }
        let items = match document.get("items").and_then(Value::as_array) {
            Some(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => items.clone(),
            _ => vec![document],
        };
        for object in items {
            if !is_text(&object["metadata"]["name"]) {
                return Err(wrong(line, "an object has no metadata.name; without one it can't be found again"));
            }
            let id = |object: &Value| {
                let metadata = &object["metadata"];
                [&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]].map(Clone::clone)
            };
            if objects.iter().any(|known| id(known) == id(&object)) {
                return Err(wrong(line, &format!("{} is there twice", crate::kinds::named(&object))));
            }
            objects.push(object);
        }
    }
    Ok(())
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
            (format!("{A}---\n# b\nkind: Secret\n"), "/x.yaml:7: this is no object"),
            (format!("{A}---\napiVersion: v1\nkind: Secret\n"), "/x.yaml:6: an object has no metadata.name"),
            (format!("{A}---\n{A}"), "/x.yaml:6: configmap/a is there twice"),
            ("a: [\n".to_owned(), "/x.yaml:1: "),
            ("- 1\n".to_owned(), "/x.yaml:1: this is no object"),
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
    fn a_directory_is_its_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for (name, object) in [("2.yml", "b"), ("1.yaml", "a"), ("readme.md", "x")] {
            std::fs::write(directory.path().join(name), A.replace("name: a", &format!("name: {object}"))).unwrap();
        }
        let named: Vec<_> = load(directory.path()).unwrap().iter().map(crate::kinds::named).collect();
        assert_eq!(named, ["configmap/a", "configmap/b"]);
    }
}
