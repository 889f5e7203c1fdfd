//! Images of the binaries: built, or found to be there already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use card_images::compile::{self, Order};
use card_images::{Built, Component, Crates, ImageError, Linkage, Platform, Recipe, Repository, Store};

use super::place::store;
use super::progress::Doing;
use super::trouble::failure;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// The code of the failure of who has neither a source tree nor ready binaries.
pub const NO_SOURCE: &str = "no-source";

/// What to build, from what, how, and where to. As it is by itself: all images of the source tree around here, static,
/// for this machine's processor.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Which images.
    pub components: Vec<Component>,
    /// Ready binaries, here or by platform (`linux-arm64/`) in it: nothing is compiled.
    pub binaries: Option<PathBuf>,
    /// The source tree; none: the one around here. With `binaries`: what they were built from, for the list of crates.
    pub source: Option<PathBuf>,
    /// For which platforms; none: this machine's.
    pub platforms: Vec<Platform>,
    /// cargo's target; none: GNU Linux on the platform's processor.
    pub target: Option<String>,
    /// How the programs find their libraries.
    pub linkage: Linkage,
    /// cargo's profile.
    pub profile: String,
    /// What comes before the names.
    pub repository: Repository,
    /// Beside the labels that every image has.
    pub labels: BTreeMap<String, String>,
    /// The directory; none: see [`store`].
    pub output: Option<PathBuf>,
    /// The archive, if there is but one image.
    pub archive: Option<PathBuf>,
    /// The certificates to trust; none: this machine's.
    pub certificates: Option<PathBuf>,
    /// Where the libraries of dynamic programs are; none: this machine.
    pub sysroot: Option<PathBuf>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            components: Component::ALL.to_vec(),
            binaries: None,
            source: None,
            platforms: Vec::new(),
            target: None,
            linkage: Linkage::Static,
            profile: "dist".to_owned(),
            repository: Repository::default(),
            labels: BTreeMap::new(),
            output: None,
            archive: None,
            certificates: None,
            sysroot: None,
        }
    }
}

/// Programs by name, and what they are made of where that is known.
struct Programs {
    binaries: BTreeMap<String, PathBuf>,
    crates: BTreeMap<String, Crates>,
}

/// Builds the images, those that are there already without any work.
///
/// # Errors
/// There is nothing to build from, a tool or a library is missing, the build fails, or the command was interrupted.
pub async fn built_images(context: &Context, options: &BuildOptions) -> Result<Vec<Built>, Failure> {
    let platforms = match options.platforms.as_slice() {
        [] => vec![Platform::host().ok_or_else(|| {
            Failure::new("platform", Exit::Usage, "images for this machine's processor are not supported")
                .fix("choose one with --platform")
        })?],
        platforms => platforms.to_vec(),
    };
    let store = store(context, options.output.as_deref());
    let mut recipes = Vec::new();
    for platform in platforms {
        let programs = tokio::select! {
            programs = programs(context, options, platform) => programs?,
            () = context.stop.cancelled() => return Err(context.interruption()),
        };
        for component in &options.components {
            recipes.push(recipe(options, *component, platform, &programs)?);
        }
    }
    write(context, &store, recipes, options.archive.as_deref()).await
}

/// One after the other: each takes all processors while it is compressed.
async fn write(
    context: &Context,
    store: &Store,
    recipes: Vec<Recipe>,
    archive: Option<&Path>,
) -> Result<Vec<Built>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (store, archive) = (store.clone().stopped_by(Arc::clone(&stop)), archive.map(Path::to_owned));
    let (written, all) = (Arc::new(AtomicUsize::new(0)), recipes.len());
    let count = Arc::clone(&written);
    let mut building = tokio::task::spawn_blocking(move || {
        let build = |recipe: &Recipe| {
            let built = match &archive {
                Some(archive) => store.build_as(recipe, archive),
                None => store.build(recipe),
            };
            count.fetch_add(usize::from(built.is_ok()), Ordering::Relaxed);
            built
        };
        recipes.iter().map(build).collect::<Result<Vec<_>, _>>()
    });
    tokio::select! {
        built = &mut building => built.map_err(Failure::internal)?.map_err(failure),
        () = context.stop.cancelled() => {
            // What is being written is written whole, and nothing after it.
            stop.store(true, Ordering::Relaxed);
            let _ = building.await;
            let written = written.load(Ordering::Relaxed);
            Err(context.interruption().left(format!("{written} of {all} images are written; the others are unchanged")))
        }
    }
}

async fn programs(context: &Context, options: &BuildOptions, platform: Platform) -> Result<Programs, Failure> {
    let triple = |order: &Order| order.triple();
    if let Some(dir) = &options.binaries {
        let crates = match &options.source {
            None => BTreeMap::new(),
            Some(source) => {
                let order = order(options, tree(source)?, platform);
                compile::workspace_crates(&order.source, &triple(&order)).await.map_err(failure)?
            }
        };
        return Ok(Programs { binaries: ready(dir, &options.components, platform)?, crates });
    }
    let here = || std::env::current_dir().map_err(Failure::internal);
    let source = match &options.source {
        Some(source) => tree(source)?,
        None => compile::source_tree(&here()?).ok_or_else(|| {
            Failure::new(NO_SOURCE, Exit::NotReady, "there is nothing to build images from")
                .evidence("this directory is not in a source tree of cardctl, and --binaries is not given")
                .fix("run it in a clone of the source, or use existing binaries: cardctl images build --binaries DIR")
        })?,
    };
    let order = order(options, source, platform);
    let doing = Doing::new(&context.printer);
    doing.at(format!("building {} for {}", names(&options.components), order.triple()));
    let binaries = compile::compile(&order, &mut |line| doing.at(line.trim())).await.map_err(failure)?;
    let crates = compile::workspace_crates(&order.source, &order.triple()).await.map_err(failure)?;
    Ok(Programs { binaries, crates })
}

fn order(options: &BuildOptions, source: PathBuf, platform: Platform) -> Order {
    Order {
        source,
        components: options.components.clone(),
        platform,
        target: options.target.clone(),
        linkage: options.linkage,
        profile: options.profile.clone(),
    }
}

fn tree(dir: &Path) -> Result<PathBuf, Failure> {
    compile::source_tree(dir).ok_or_else(|| {
        Failure::new("no-source", Exit::NotReady, format!("{} is not in a source tree of cardctl", dir.display()))
            .fix("set --source to the directory of a clone")
    })
}

fn ready(dir: &Path, components: &[Component], platform: Platform) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let find = |component: &Component| {
        let places = [dir.join(platform.file_name()).join(component.name), dir.join(component.name)];
        let found = places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
            let looked = places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ");
            Failure::new("no-binary", Exit::NotReady, format!("there is no {} for {platform}", component.name))
                .evidence(format!("looked for {looked}"))
                .fix("name the directory that has it, or build only some images: cardctl images build server")
        })?;
        Ok((component.name.to_owned(), found))
    };
    components.iter().map(find).collect()
}

fn recipe(
    options: &BuildOptions,
    component: Component,
    platform: Platform,
    programs: &Programs,
) -> Result<Recipe, Failure> {
    let binary = programs.binaries.get(component.name).cloned();
    let binary = binary.ok_or_else(|| Failure::internal(format!("there is no {}", component.name)))?;
    Ok(Recipe {
        version: card_core::VERSION.to_owned(),
        repository: options.repository.clone(),
        labels: options.labels.clone(),
        crates: programs.crates.get(component.name).cloned(),
        certificates: options.certificates.clone(),
        sysroot: options.sysroot.clone(),
        created: created()?,
        ..Recipe::new(component, binary, platform)
    })
}

/// `SOURCE_DATE_EPOCH` (reproducible-builds.org), or 1970.
fn created() -> Result<u64, Failure> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(text) = std::env::var_os(NAME).filter(|text| !text.is_empty()) else { return Ok(0) };
    // The latest moment that RFC 3339 can write.
    const LAST: u64 = 253_402_207_200;
    text.to_str().and_then(|text| text.parse().ok()).filter(|seconds| *seconds <= LAST).ok_or_else(|| {
        Failure::new("usage", Exit::Usage, format!("{NAME} is {text:?}, not a number of seconds since 1970"))
            .fix(format!("unset {NAME}, or set it to a number: git log -1 --format=%ct"))
    })
}

fn names(components: &[Component]) -> String {
    components.iter().map(|component| component.name).collect::<Vec<_>>().join(", ")
}

/// For the callers that have an error of the library in their hands.
impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        failure(error)
    }
}
