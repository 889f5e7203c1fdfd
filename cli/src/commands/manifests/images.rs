//! Which images are meant: named by flags, else built here.

use card_images::{MultiPlatform, Repository};
use clap::Args;

use crate::commands::images::{failure, named_reference, store};
use crate::context::Context;
use crate::failure::Failure;

/// See the module.
#[derive(Debug, Clone, Args)]
pub struct ImageArgs {
    /// Image of card-server, card-worker, postgres, redis or prometheus; can be repeated [default: built here, or pinned]
    #[arg(long, value_name = "NAME=REFERENCE", value_parser = named_reference)]
    pub image: Vec<(String, String)>,
    /// Repository to which the images built here were pushed [default: none, they are loaded]
    #[arg(long, value_name = "REGISTRY/PATH")]
    pub registry: Option<Repository>,
}

/// The images that run the platform's own parts.
const OURS: [&str; 2] = ["card-server", "card-worker"];

/// References by what the images are called: those that were named, and for the platform's own that were not, those that were
/// built here. By digest if they are in a registry, else by the tag that is made of it.
///
/// # Errors
/// The index of what was built can't be read.
pub(super) fn references(args: &ImageArgs, context: &Context) -> Result<Vec<(String, String)>, Failure> {
    let mut references = args.image.clone();
    let is_named = |name: &str| {
        let also = if name == "card-server" { ["server", "issuer"] } else { ["worker", "worker"] };
        args.image.iter().any(|(called, _)| called == name || also.contains(&called.as_str()))
    };
    let missing: Vec<_> = OURS.into_iter().filter(|name| !is_named(name)).collect();
    if missing.is_empty() {
        return Ok(references);
    }
    let mut built = store(context, None).images().map_err(failure)?;
    let registry = registry(args, context)?;
    if let Some(repository) = &registry {
        built = built.iter().map(|image| image.in_repository(repository)).collect();
    }
    let indexes = MultiPlatform::of(&built).map_err(failure)?;
    for name in missing {
        let index = indexes.iter().find(|index| index.name == name).map(MultiPlatform::reference);
        let reference = index.or_else(|| Some(built.iter().find(|image| image.name == name)?.reference()));
        if let Some(reference) = reference {
            let known = if registry.is_some() { reference.pinned() } else { reference.tagged() };
            references.push((name.to_owned(), known));
        }
    }
    Ok(references)
}

/// Where images were pushed to: by flag, else by the settings.
///
/// # Errors
/// The setting is no such place.
pub(super) fn registry(args: &ImageArgs, context: &Context) -> Result<Option<Repository>, Failure> {
    match (&args.registry, context.settings.settings.kube.registry.as_str()) {
        (Some(registry), _) => Ok(Some(registry.clone())),
        (None, "") => Ok(None),
        (None, registry) => registry.parse().map(Some).map_err(failure),
    }
}
