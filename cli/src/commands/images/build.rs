//! `cardctl images build`.

use std::path::PathBuf;

use card_images::{Built, Component, Linkage, Platform, Repository, Store};
use clap::ValueEnum;
use serde::Serialize;

use super::built::{BuildOptions, built_images};
use super::place::{parse_component, parse_platform, store};
use super::progress::megabytes;
use super::shown::{self, ShownImage, ShownIndex};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// How a program finds its libraries.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Linking {
    Static,
    Dynamic,
}

/// Build images of the binaries without a daemon
///
/// Builds the binaries first, with cargo, if started in the source tree. The same binaries always give the same images, and images
/// that already exist are left as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl images build
  cardctl images build server worker --linkage dynamic
  cardctl images build --binaries dist --out images --layout
  cardctl images build --platform linux/amd64,linux/arm64 --repository ghcr.io/ada/cards")]
pub(super) struct BuildArgs {
    /// Images to build: server, worker, generator, or the names of their binaries [default: all]
    #[arg(value_name = "NAME", value_parser = parse_component)]
    names: Vec<Component>,
    /// Use the binaries in this directory, or in its linux-amd64/ and linux-arm64/, instead of compiling
    #[arg(long, value_name = "DIR", conflicts_with_all = ["linkage", "target", "profile"])]
    binaries: Option<PathBuf>,
    /// Source tree [default: the one that contains this directory; with --binaries none, and the SBOM lists no crates]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Link libraries statically, or add shared libraries to the image
    #[arg(long, value_enum, default_value = "static", value_name = "HOW")]
    linkage: Linking,
    /// Cargo target [default: GNU Linux on the platform's processor]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Platforms: linux/amd64, linux/arm64, or both [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = parse_platform)]
    platform: Vec<Platform>,
    /// Cargo profile
    #[arg(long, default_value = "dist", value_name = "NAME")]
    profile: String,
    /// Prefix of the image names
    #[arg(long, default_value = "cardctl", value_name = "PATH", value_parser = parse_repository)]
    repository: Repository,
    /// Add a label, such as org.opencontainers.image.revision=$(git rev-parse HEAD)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Output directory, or a .tar file for a single image [default: target/images in the source tree, else the
    /// state directory]
    #[arg(long, value_name = "DIR|FILE.tar")]
    out: Option<PathBuf>,
    /// Write an OCI layout too, with every image of the output directory, to its oci/
    #[arg(long)]
    layout: bool,
    /// CA certificates (PEM) to put into the images [default: this machine's]
    #[arg(long, value_name = "FILE")]
    certificates: Option<PathBuf>,
    /// Root directory to take shared libraries from [default: /]
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document<'a> {
    directory: &'a std::path::Path,
    layout: Option<PathBuf>,
    images: Vec<BuiltImage<'a>>,
    indexes: Vec<ShownIndex>,
}

#[derive(Serialize)]
struct BuiltImage<'a> {
    #[serde(flatten)]
    image: ShownImage<'a>,
    reused: bool,
    ms: u128,
}

fn parse_repository(text: &str) -> Result<Repository, String> {
    text.parse().map_err(|error: card_images::ImageError| error.to_string())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE".to_owned()),
    }
}

impl BuildArgs {
    fn options(self) -> Result<BuildOptions, Failure> {
        let defaults = BuildOptions::default();
        let components = if self.names.is_empty() { defaults.components } else { self.names };
        let is_file = self.out.as_ref().is_some_and(|path| path.extension().is_some_and(|end| end == "tar"));
        if is_file && components.len() * self.platform.len().max(1) != 1 {
            return Err(Failure::new("usage", Exit::Usage, "a file holds one image, and several are asked for")
                .fix("name a directory, or one image: cardctl images build server --out card-server.tar"));
        }
        if self.target.is_some() && self.platform.len() > 1 {
            return Err(Failure::new("usage", Exit::Usage, "--target is for one platform").fix("leave it out"));
        }
        let (archive, output) = match self.out {
            Some(file) if is_file => {
                let file = std::path::absolute(file).map_err(Failure::internal)?;
                (Some(file.clone()), file.parent().map(std::path::Path::to_owned))
            }
            output => (None, output),
        };
        Ok(BuildOptions {
            components,
            binaries: self.binaries,
            source: self.source,
            platforms: self.platform,
            target: self.target,
            linkage: match self.linkage {
                Linking::Static => Linkage::Static,
                Linking::Dynamic => Linkage::Dynamic,
            },
            profile: self.profile,
            repository: self.repository,
            labels: self.label.into_iter().collect(),
            output,
            archive,
            certificates: self.certificates,
            sysroot: self.sysroot,
        })
    }
}

pub(super) async fn run(args: BuildArgs, context: &Context) -> Result<Exit, Failure> {
    let with_layout = args.layout;
    let options = args.options()?;
    let built = built_images(context, &options).await?;
    let store = store(context, options.output.as_deref());
    let layout = if with_layout { Some(write_layout(context, &store).await?) } else { None };
    let printer = &context.printer;
    for built in &built {
        printer.text(line(built))?;
    }
    if let Some(layout) = &layout {
        printer.step(format!("OCI layout: {}", layout.display()));
    }
    let images = built.iter().map(|Built { image, reused, took }| BuiltImage {
        image: ShownImage::new(image),
        reused: *reused,
        ms: took.as_millis(),
    });
    printer.data(&Document {
        directory: store.dir(),
        layout,
        images: images.collect(),
        indexes: shown::indexes(&store.images()?)?,
    })?;
    Ok(Exit::Done)
}

fn line(Built { image, reused, took }: &Built) -> String {
    let how = if *reused { "unchanged".to_owned() } else { format!("built in {} ms", took.as_millis()) };
    format!("{}  {}  {}  {how}", image.reference(), image.platform, megabytes(image.size))
}

async fn write_layout(context: &Context, store: &Store) -> Result<PathBuf, Failure> {
    let writing = store.clone();
    tokio::select! {
        layout = tokio::task::spawn_blocking(move || writing.write_layout()) => Ok(layout.map_err(Failure::internal)??),
        () = context.stop.cancelled() => {
            Err(context.interruption().left("the images are written, the OCI layout is not; the same command again makes it"))
        }
    }
}
