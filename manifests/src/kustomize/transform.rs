//! What a kustomization does to every object: patches, namespace, labels, images, in kustomize's order.

use serde_json::Value;

use super::Resource;
use super::file::{ImageChange, Kustomization, Labels};
use super::merge;
use crate::image::Image;
use crate::kinds::{is_cluster_wide, mapping, pod_template, text};
use crate::yaml;

pub(super) fn all(kustomization: &Kustomization, resources: &mut Vec<Resource>) -> Result<(), String> {
    for patch in &kustomization.patches {
        let documents = yaml::documents(&patch.patch).map_err(|error| format!("a patch: {}", error.message))?;
        for (_, document) in documents {
            merge::patch(&document, resources)?;
        }
    }
    if let Some(name) = &kustomization.namespace {
        resources.iter_mut().try_for_each(|resource| namespace(&mut resource.object, name))?;
    }
    for labels in &kustomization.labels {
        resources.iter_mut().try_for_each(|resource| label(&mut resource.object, labels))?;
    }
    for change in &kustomization.images {
        for resource in resources.iter_mut() {
            for image in images(&mut resource.object) {
                *image = changed(image, change)?;
            }
        }
    }
    Ok(())
}

fn namespace(object: &mut Value, name: &str) -> Result<(), String> {
    let field = if is_cluster_wide(text(object, "kind")) == Some(false) { "namespace" } else { "name" };
    mapping(object, &["metadata"])?.insert(field.to_owned(), name.into());
    Ok(())
}

fn label(object: &mut Value, labels: &Labels) -> Result<(), String> {
    let kind = text(object, "kind").to_owned();
    put(object, labels)?;
    if !labels.include_templates {
        return Ok(());
    }
    if let Some(pod) = pod_template(&kind).and_then(|pod| object.pointer_mut(pod)) {
        put(pod, labels)?;
    }
    let volumes = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    volumes.into_iter().flatten().try_for_each(|volume| put(volume, labels))
}

fn put(object: &mut Value, labels: &Labels) -> Result<(), String> {
    let known = mapping(object, &["metadata", "labels"])?;
    known.extend(labels.pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    Ok(())
}

/// The image of every container that an object runs.
pub(crate) fn images(object: &mut Value) -> Vec<&mut String> {
    let pod =
        pod_template(text(object, "kind")).and_then(|pod| object.pointer_mut(pod)).and_then(|pod| pod.get_mut("spec"));
    let Some(Value::Object(pod)) = pod else { return Vec::new() };
    let lists = pod.iter_mut().filter(|(field, _)| matches!(field.as_str(), "containers" | "initContainers"));
    let containers = lists.filter_map(|(_, list)| list.as_array_mut()).flatten();
    let images = containers.filter_map(|container| match container.get_mut("image") {
        Some(Value::String(image)) => Some(image),
        _ => None,
    });
    images.collect()
}

fn changed(image: &str, change: &ImageChange) -> Result<String, String> {
    let Some(mut found) = Image::parse(image) else { return Err(format!("{image} is not an image reference")) };
    if found.name != change.name {
        return Ok(image.to_owned());
    }
    if let Some(name) = &change.new_name {
        found.name.clone_from(name);
    }
    // Either of them replaces both.
    if change.new_tag.is_some() || change.digest.is_some() {
        found.tag.clone_from(&change.new_tag);
        found.digest.clone_from(&change.digest);
    }
    Ok(found.to_string())
}
