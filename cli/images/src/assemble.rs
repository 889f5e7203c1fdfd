//! From a recipe to the blobs of an image.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::catalog::Linkage;
use crate::closure::{Closure, Search};
use crate::digest::Digest;
use crate::elf::Object;
use crate::error::ImageError;
use crate::recipe::Recipe;
use crate::rootfs::RootFs;
use crate::{layer, metadata, sbom};

const PROGRAMS: &str = "/usr/local/bin";
const DOCUMENTS: &str = "usr/share/doc";

/// Everything of an image but its compressed layer: enough to tell whether it is the same as before.
pub(crate) struct Draft {
    pub(crate) tar: Vec<u8>,
    pub(crate) diff_id: Digest,
    pub(crate) config: Vec<u8>,
    pub(crate) sbom: Vec<u8>,
    pub(crate) binary: Digest,
    pub(crate) linkage: Linkage,
}

/// The blobs of an image, in memory.
#[derive(Debug, Clone)]
pub struct Assembled {
    pub manifest: Vec<u8>,
    /// The configuration.
    pub config: Vec<u8>,
    /// The layer, compressed.
    pub layer: Vec<u8>,
    /// CycloneDX; it is in the layer as well.
    pub sbom: Vec<u8>,
    /// Of the layer, not compressed.
    pub diff_id: Digest,
    /// How much that is.
    pub unpacked: u64,
    /// Of the program.
    pub binary: Digest,
    /// How the program is linked.
    pub linkage: Linkage,
}

/// Makes an image in memory.
///
/// # Errors
/// The program, what it needs, or the certificates are not there, or the program is none for that platform.
pub fn assemble(recipe: &Recipe) -> Result<Assembled, ImageError> {
    Draft::new(recipe)?.finish(recipe, &AtomicBool::new(false))
}

impl Draft {
    pub(crate) fn new(recipe: &Recipe) -> Result<Self, ImageError> {
        let path = &recipe.binary;
        let program = std::fs::read(path).map_err(|error| ImageError::read(path, &error))?;
        let object = Object::program(path, &program, recipe.platform.architecture)?;
        let there = Path::new(PROGRAMS).join(&recipe.name);
        let (linkage, closure) = if object.interpreter.is_some() {
            let search = Search::new(recipe.sysroot()?, recipe.platform.architecture);
            // Where the program is may be a link: its `$ORIGIN` is where that leads.
            let path = std::fs::canonicalize(path).map_err(|error| ImageError::read(path, &error))?;
            (Linkage::Dynamic, search.closure(&path, &there, object)?)
        } else {
            (Linkage::Static, Closure::default())
        };
        let binary = Digest::of(&program);
        let sbom = sbom::document(recipe, &binary, &closure.files)?;
        let mut files = RootFs::new(&recipe.certificates()?);
        let documents = PathBuf::from(DOCUMENTS).join(&recipe.name);
        files.file(documents.join("sbom.cdx.json"), 0o644, sbom.clone());
        files.file(&there, 0o755, program);
        for (path, bytes) in closure.files {
            files.file(path, 0o755, bytes);
        }
        let tar = files.tar().map_err(ImageError::internal)?;
        let diff_id = Digest::of(&tar);
        let directories: Vec<_> = closure.directories.iter().map(|dir| dir.display().to_string()).collect();
        let library_path = (!directories.is_empty()).then(|| directories.join(":"));
        let config = metadata::configuration(recipe, &there.display().to_string(), library_path, &diff_id)?;
        Ok(Self { tar, diff_id, config, sbom, binary, linkage })
    }

    pub(crate) fn finish(self, recipe: &Recipe, stop: &AtomicBool) -> Result<Assembled, ImageError> {
        let layer = layer::compress(&self.tar, stop).map_err(ImageError::internal)?.ok_or_else(ImageError::stopped)?;
        Ok(Assembled {
            manifest: metadata::manifest(recipe, &self.config, &layer)?,
            config: self.config,
            layer,
            sbom: self.sbom,
            diff_id: self.diff_id,
            unpacked: self.tar.len() as u64,
            binary: self.binary,
            linkage: self.linkage,
        })
    }
}
