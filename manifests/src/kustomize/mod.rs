//! What `kubectl kustomize` does, as far as the manifests need it: a kustomization becomes objects.
//!
//! Resources, components, ConfigMaps with a hash in their name, patches (strategic merge), namespace, labels, images, in
//! kustomize's order. Whatever else a kustomization says is an error: to ignore it would be to render something else than
//! `kubectl apply -k` applies. A test compares both for every overlay.

mod file;
mod generate;
mod merge;
mod transform;

use serde_json::Value;

pub(crate) use self::file::{ImageChange, Kustomization, Labels};
pub(crate) use self::merge::patch;
pub(crate) use self::transform::images;
use crate::files::{Files, join};
use crate::kinds;
use crate::yaml;

/// Why manifests could not be made into objects. None of these goes away by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A kustomization names a file that is not there.
    #[error("{file}: there is no {missing}")]
    Missing {
        /// Who names it.
        file: String,
        /// What it names.
        missing: String,
    },
    /// A file says something that has no meaning here.
    #[error("{file}:{line}: {message}")]
    Yaml {
        /// Which file.
        file: String,
        /// From 1; 0 if it is not known.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// What a kustomization asks for can't be done.
    #[error("{file}: {message}")]
    Kustomization {
        /// Which file.
        file: String,
        /// What and why.
        message: String,
    },
    /// A value that was given can't be used.
    #[error("{value}: {message}")]
    Value {
        /// Which one: the name of a flag, without its dashes.
        value: &'static str,
        /// What is wrong, and what may be there instead.
        message: String,
    },
    /// Nobody said which image to run.
    #[error("no image is given for {image}; set its reference, such as {image}=registry.example/{image}@sha256:DIGEST")]
    NoImage {
        /// Its name in the manifests.
        image: String,
    },
}

/// An object under way.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) object: Value,
    /// Its name is to end with a hash of what is in it.
    hashed: bool,
}

impl Resource {
    pub(crate) fn is(&self, kind: &str, name: &str) -> bool {
        kinds::text(&self.object, "kind") == kind && kinds::text(&self.object["metadata"], "name") == name
    }
}

/// The objects of a directory that has a `kustomization.yaml`, in apply order.
///
/// # Errors
/// It is not there, is wrong, or asks for what is not supported.
pub fn build(files: &impl Files, directory: &str) -> Result<Vec<Value>, RenderError> {
    let kustomization = load(files, directory)?;
    let mut resources = Vec::new();
    accumulate(files, directory, &kustomization, &mut resources)?;
    Ok(finish(resources))
}

/// Names get their hashes, and whoever refers to them follows.
pub(crate) fn finish(mut resources: Vec<Resource>) -> Vec<Value> {
    generate::hash_names(&mut resources);
    let mut objects: Vec<_> = resources.into_iter().map(|resource| resource.object).collect();
    kinds::in_apply_order(&mut objects);
    objects
}

pub(crate) fn load(files: &impl Files, directory: &str) -> Result<Kustomization, RenderError> {
    let found = NAMES.iter().find_map(|name| {
        let file = format!("{directory}/{name}");
        files.text(&file).map(|text| (file, text))
    });
    let missing = || RenderError::Missing { file: directory.to_owned(), missing: at(directory) };
    let (file, text) = found.ok_or_else(missing)?;
    yaml::read(&text).map_err(|error| RenderError::Yaml { file, line: error.line, message: error.message })
}

/// Adds what a kustomization has to what is there, and does to all of it what it asks for.
pub(crate) fn accumulate(
    files: &impl Files,
    directory: &str,
    kustomization: &Kustomization,
    resources: &mut Vec<Resource>,
) -> Result<(), RenderError> {
    deeper(files, directory, kustomization, resources, 0)
}

/// More of them inside of one another are a circle.
const DEEPEST: usize = 32;

fn deeper(
    files: &impl Files,
    directory: &str,
    kustomization: &Kustomization,
    resources: &mut Vec<Resource>,
    depth: usize,
) -> Result<(), RenderError> {
    let file = at(directory);
    if depth > DEEPEST {
        return Err(RenderError::Kustomization { file, message: "its resources lead back to itself".to_owned() });
    }
    let wrong = |message: String| RenderError::Kustomization { file: file.clone(), message };
    kustomization.check().map_err(wrong)?;
    for path in &kustomization.resources {
        let name = join(directory, path).ok_or_else(|| wrong(format!("{path} leads out of the manifests")))?;
        if path.ends_with(".yaml") || path.ends_with(".yml") || path.ends_with(".json") {
            // As kubectl: files of others are not for a kustomization to read.
            if !below(directory, &name) {
                return Err(wrong(format!("{path} leads out of the directory of its kustomization")));
            }
            add_file(files, &file, &name, resources)?;
        } else {
            let inner = load(files, &name)?;
            // Its changes are for its own resources alone.
            let mut own = Vec::new();
            deeper(files, &name, &inner, &mut own, depth + 1)?;
            for resource in own {
                add(resource, resources).map_err(wrong)?;
            }
        }
    }
    for path in &kustomization.components {
        let name = join(directory, path).ok_or_else(|| wrong(format!("{path} leads out of the manifests")))?;
        let component = load(files, &name)?;
        if !component.is_component() {
            return Err(wrong(format!("{path} is not a Component")));
        }
        // A component changes what is there already.
        deeper(files, &name, &component, resources, depth + 1)?;
    }
    for generator in &kustomization.config_map_generator {
        let read = |path: &str| {
            let name = join(directory, path).filter(|name| below(directory, name))?;
            files.text(&name).map(|text| text.into_owned())
        };
        generate::config_map(generator, read, resources).map_err(wrong)?;
    }
    transform::all(kustomization, resources).map_err(wrong)
}

fn add_file(files: &impl Files, by: &str, name: &str, resources: &mut Vec<Resource>) -> Result<(), RenderError> {
    let text =
        files.text(name).ok_or_else(|| RenderError::Missing { file: by.to_owned(), missing: name.to_owned() })?;
    let wrong = |line, message| RenderError::Yaml { file: name.to_owned(), line, message };
    for (line, object) in yaml::documents(&text).map_err(|error| wrong(error.line, error.message))? {
        if kinds::text(&object, "kind").is_empty() || kinds::text(&object["metadata"], "name").is_empty() {
            return Err(wrong(line, "an object needs a kind and a metadata.name".to_owned()));
        }
        add(Resource { object, hashed: false }, resources).map_err(|message| wrong(line, message))?;
    }
    Ok(())
}

fn add(resource: Resource, resources: &mut Vec<Resource>) -> Result<(), String> {
    let (kind, name) = (kinds::text(&resource.object, "kind"), kinds::text(&resource.object["metadata"], "name"));
    if kinds::is_cluster_wide(kind).is_none() {
        return Err(format!("kind {kind} is not known here; teach kinds.rs where it belongs"));
    }
    if resources.iter().any(|there| there.is(kind, name)) {
        return Err(format!("{} is given twice", kinds::named(&resource.object)));
    }
    resources.push(resource);
    Ok(())
}

/// What kustomize looks for in a directory.
pub(crate) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

fn below(directory: &str, name: &str) -> bool {
    directory.is_empty() || name.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn at(directory: &str) -> String {
    format!("{directory}/kustomization.yaml")
}

#[cfg(test)]
mod tests;
