//! What is wrong with objects, found without a cluster: against the types of the Kubernetes API, and against the rules of this
//! platform.

mod api;
mod custom;
mod rules;
mod schema;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::image::Image;
use crate::kinds::named;
use crate::kustomize::images;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// As `kubectl` names it: `deployment/server`.
    pub object: String,
    /// Where in the object, such as `spec.template.spec.containers[0].image`; empty for all of it.
    pub path: String,
    /// Which rule, in kebab-case.
    pub rule: &'static str,
    /// What is wrong, and what should be there.
    pub message: String,
    /// How bad it is.
    pub level: Level,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It could not be looked at.
    Note,
    /// A cluster takes it, but it is not as it should be.
    Warning,
    /// A cluster refuses it, or it is dangerous.
    Error,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, path, message, rule, .. } = self;
        let at = if path.is_empty() { "" } else { " " };
        write!(f, "{object}{at}{path}: {message} ({rule})")
    }
}

/// Looks at objects. Nothing is found in what this program renders.
#[must_use]
pub fn validate(objects: &[Value]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in objects {
        let of_type = schema::check(object);
        // What its type could not read is not looked at any closer.
        if of_type.iter().all(|finding| finding.level < Level::Error) {
            findings.extend(api::check(object));
        }
        findings.extend(of_type);
        findings.extend(rules::check(object, objects));
    }
    findings
}

/// The references of images that may mean something else tomorrow: neither a digest nor a tag made of one. Each once.
#[must_use]
pub fn unpinned(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        for image in images(&mut object.clone()) {
            if !Image::parse(image).is_some_and(|image| image.is_pinned()) && !found.contains(image) {
                found.push(image.clone());
            }
        }
    }
    found
}

fn finding(
    object: &Value,
    rule: &'static str,
    level: Level,
    path: impl Into<String>,
    message: impl Into<String>,
) -> Finding {
    Finding { object: named(object), path: path.into(), rule, message: message.into(), level }
}

#[cfg(test)]
mod tests;
