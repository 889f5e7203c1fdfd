//! The images that are to run, where the cluster finds them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use card_images::{Component, Repository};

use super::super::UpArgs;
use crate::commands::images::{BuildOptions, Runtime, built_images, load_all, push_all};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kubernetes::Kind;

/// The reference of each binary's image. Built unless they are named, and brought to where the cluster gets them: into
/// minikube, or into a registry.
pub(super) async fn ready(args: &UpArgs, kind: Kind, context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let mut named = BTreeMap::new();
    for text in &args.image {
        let (name, reference) = text.split_once('=').filter(|(name, reference)| !name.is_empty() && !reference.is_empty()).ok_or_else(|| {
            Failure::new("usage", Exit::Usage, format!("--image {text:?} is not NAME=REFERENCE"))
                .fix("--image card-server=registry.example/card-server@sha256:…")
        })?;
        named.insert(name.to_owned(), reference.to_owned());
    }
    let all = [Component::Server, Component::Worker, Component::Generator];
    let wanted: Vec<_> = all.into_iter().filter(|component| !named.contains_key(component.binary())).collect();
    // The generator is for load tests; who names the two that run need not have it.
    if !wanted.iter().any(|component| matches!(component, Component::Server | Component::Worker)) {
        return Ok(named);
    }
    let settings = &context.settings.settings;
    let registry = args.registry.clone().unwrap_or_else(|| settings.kube.registry.clone());
    let repository = match registry.as_str() {
        "" => Repository::default(),
        path => path.parse().map_err(|reason| {
            Failure::new("usage", Exit::Usage, format!("{path:?} is no place for images: {reason}"))
                .fix("such as --registry registry.example/cards")
        })?,
    };
    let options = BuildOptions {
        components: wanted,
        binaries: args.binaries.clone().map(PathBuf::from),
        repository: repository.clone(),
        ..BuildOptions::default()
    };
    let built = built_images(context, &options).await?;
    let images: Vec<_> = built.into_iter().map(|built| built.image).collect();
    let pinned = match (kind, registry.is_empty()) {
        (Kind::Minikube, _) => {
            let runtime = Runtime::Minikube { profile: Some(settings.minikube.profile.clone()) };
            load_all(context, &images, &runtime).await?;
            false
        }
        (Kind::Kube, false) => {
            push_all(context, &images, &repository).await?;
            true
        }
        (Kind::Kube, true) => {
            context.printer.say(
                "no registry is given: the nodes must have these images already (cardctl images load --into containerd on each)",
            );
            false
        }
    };
    for image in &images {
        let reference = image.reference();
        let text = if pinned { reference.full() } else { reference.tagged() };
        named.insert(image.component.clone(), text);
    }
    Ok(named)
}
