//! The images that are to run, where the cluster finds them.

use std::collections::BTreeMap;

use card_images::load::Runtime;
use card_images::push::Place;
use card_images::{Component, Image, Platform};

use super::super::UpArgs;
use crate::commands::images::{
    BuildOptions, NO_SOURCE, built_images, failure, load_all, named_reference, push_all, store,
};
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::Kind;
use card_core::exit::Exit;

/// What load tests in the cluster run.
pub(super) const GENERATOR: &str = "card-generator";

const SERVER: &str = "card-server";
const WORKER: &str = "card-worker";

/// The reference of each binary's image. Built unless they are named, and brought to where the cluster gets them: into
/// minikube, or into a registry.
/// With nothing to build from, what was deployed last is deployed again.
pub(super) async fn ready(
    args: &UpArgs,
    last: &BTreeMap<String, String>,
    kind: Kind,
    context: &Context,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut named = BTreeMap::new();
    for text in &args.image {
        let (name, reference) = named_reference(text).map_err(|why| {
            Failure::new("usage", Exit::Usage, format!("--image {why}"))
                .fix("--image card-server=registry.example/card-server@sha256:DIGEST")
        })?;
        named.insert(name, reference);
    }
    let wanted: Vec<_> =
        Component::ALL.iter().copied().filter(|component| !named.contains_key(component.name)).collect();
    // The generator is for load tests; who names the two that run need not have it.
    if wanted.iter().all(|component| component.name == GENERATOR) {
        return Ok(named);
    }
    let settings = &context.settings.settings;
    let registry = args.registry.clone().unwrap_or_else(|| settings.kube.registry.clone());
    let place: Option<Place> = match registry.as_str() {
        "" => None,
        path => Some(path.parse().map_err(failure)?),
    };
    let options = BuildOptions { components: wanted, binaries: args.binaries.clone(), ..BuildOptions::default() };
    let images: Vec<Image> = match built_images(context, &options).await {
        // Outside of the source tree: those that were built with --binaries, or came from elsewhere.
        Err(failure) if failure.code == NO_SOURCE && !kept(context, &options.components).is_empty() => {
            let kept = kept(context, &options.components);
            context.printer.step(format!(
                "nothing to build images from here; using those in {}",
                store(context, None).dir().display()
            ));
            kept
        }
        Err(failure) if failure.code == NO_SOURCE && [SERVER, WORKER].iter().all(|name| last.contains_key(*name)) => {
            context.printer.step("nothing to build images from here; keeping the deployed ones");
            for (name, reference) in last {
                named.entry(name.clone()).or_insert_with(|| reference.clone());
            }
            return Ok(named);
        }
        built => built?.into_iter().map(|built| built.image).collect(),
    };
    let mut add = |component: &str, reference: String| {
        if let Some(component) = Component::find(component) {
            named.insert(component.name.to_owned(), reference);
        }
    };
    if let Some(place) = place {
        for pushed in push_all(context, &images, &place).await? {
            add(&pushed.component, pushed.reference.exact());
        }
        return Ok(named);
    }
    if kind == Kind::Minikube {
        let runtime = Runtime::Minikube { profile: Some(settings.minikube.profile.clone()) };
        load_all(context, &images, &runtime).await?;
    } else if images.iter().any(|image| last.get(&image.name) != Some(&image.reference().tagged())) {
        context.printer.say(
            "no registry is given, so the nodes must have the images already (cardctl images load --into containerd, on each node)",
        );
    }
    for image in &images {
        add(&image.component, image.reference().tagged());
    }
    Ok(named)
}

/// The images of these that are kept on this machine, for its platform; none unless those that run are all among them.
fn kept(context: &Context, wanted: &[Component]) -> Vec<Image> {
    let is_wanted = |image: &Image| {
        Platform::host() == Some(image.platform) && wanted.iter().any(|component| component.name == image.name)
    };
    let found: Vec<Image> = store(context, None).images().unwrap_or_default().into_iter().filter(is_wanted).collect();
    let needed = wanted.iter().filter(|component| component.name != GENERATOR);
    let is_whole = needed.clone().all(|component| found.iter().any(|image| image.name == component.name));
    if is_whole { found } else { Vec::new() }
}
