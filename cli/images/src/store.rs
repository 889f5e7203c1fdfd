//! A directory of images: archives, their SBOMs, the list of them.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::archive;
use crate::assemble::{Assembled, Draft};
use crate::catalog::{self, Image};
use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};
use crate::platform::Platform;
use crate::recipe::Recipe;
use crate::{layer, layout, write};

const LOCK: &str = ".lock";
/// Writing takes a second; who holds it for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Where images are kept.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    stop: Arc<AtomicBool>,
}

/// An image, and what it took.
#[derive(Debug, Clone)]
pub struct Built {
    pub image: Image,
    /// It was there already: nothing was written.
    pub reused: bool,
    /// From the ready binary to the files.
    pub took: Duration,
}

impl Store {
    /// In this directory, which need not be there.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        // Absolute, so that what is found later does not depend on where one was then.
        Self { dir: std::path::absolute(&dir).unwrap_or(dir), stop: Arc::default() }
    }

    /// The same store, whose builds end before they write anything more once `stop` is set. They then fail with the code
    /// `interrupted`, within the tenths of a second that compressing one part takes.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    fn check_stop(&self) -> Result<(), ImageError> {
        if self.stop.load(Ordering::Relaxed) { Err(ImageError::stopped()) } else { Ok(()) }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was built, by name and platform.
    ///
    /// # Errors
    /// The list can't be read.
    pub fn images(&self) -> Result<Vec<Image>, ImageError> {
        catalog::read(&self.dir)
    }

    /// Makes the image of a recipe and writes it, or finds that it is there already. Two at once, in one process or in
    /// several, do not disturb each other.
    ///
    /// # Errors
    /// As [`crate::assemble`], or the directory can't be written; what was there before is then still there.
    pub fn build(&self, recipe: &Recipe) -> Result<Built, ImageError> {
        self.build_as(recipe, &self.archive_path(recipe))
    }

    /// As [`Store::build`], with the archive at a path of one's own.
    ///
    /// # Errors
    /// As [`Store::build`].
    pub fn build_as(&self, recipe: &Recipe, archive: &Path) -> Result<Built, ImageError> {
        let begun = Instant::now();
        self.check_stop()?;
        let draft = Draft::new(recipe)?;
        if let Some(image) = self.same(recipe, &draft, archive)? {
            return Ok(Built { image, reused: true, took: begun.elapsed() });
        }
        let assembled = draft.finish(recipe, &self.stop)?;
        self.check_stop()?;
        let image = self.put(recipe, &assembled, archive)?;
        Ok(Built { image, reused: false, took: begun.elapsed() })
    }

    /// Adds every image of the store to the OCI layout `oci/` in it.
    ///
    /// # Errors
    /// An archive can't be read, or the directory can't be written.
    pub fn write_layout(&self) -> Result<PathBuf, ImageError> {
        let _lock = self.lock()?;
        let dir = self.dir.join("oci");
        layout::write(&dir, &self.images()?)?;
        Ok(dir)
    }

    /// The image that a draft would become, if it is here and whole.
    fn same(&self, recipe: &Recipe, draft: &Draft, archive: &Path) -> Result<Option<Image>, ImageError> {
        let config = Digest::of(&draft.config);
        // A list that can't be read is no reason not to build.
        let known = self.images().unwrap_or_default().into_iter().find(|known| {
            known.config_digest == config
                && known.repository == recipe.repository
                && known.encoding == layer::ENCODING
                && known.archive == archive
        });
        let Some(known) = known else { return Ok(None) };
        let whole = |path: &Path| File::open(path).and_then(Digest::of_reader).ok().map(|(digest, _)| digest);
        let is_whole = whole(&known.archive).as_ref() == Some(&known.archive_digest)
            && whole(&known.sbom) == Some(Digest::of(&draft.sbom));
        Ok(is_whole.then_some(known))
    }

    fn put(&self, recipe: &Recipe, assembled: &Assembled, archive: &Path) -> Result<Image, ImageError> {
        let manifest_digest = Digest::of(&assembled.manifest);
        let mut image = Image {
            component: recipe.component.clone(),
            name: recipe.name.clone(),
            repository: recipe.repository.clone(),
            platform: recipe.platform,
            manifest_digest: manifest_digest.clone(),
            manifest_size: assembled.manifest.len() as u64,
            config_digest: Digest::of(&assembled.config),
            layer_digest: Digest::of(&assembled.layer),
            diff_id: assembled.diff_id.clone(),
            size: (assembled.manifest.len() + assembled.config.len() + assembled.layer.len()) as u64,
            unpacked: assembled.unpacked,
            linkage: assembled.linkage,
            binary_digest: assembled.binary.clone(),
            archive: archive.to_owned(),
            archive_digest: manifest_digest,
            sbom: archive.with_extension("cdx.json"),
            encoding: layer::ENCODING.to_owned(),
        };
        let tar = archive::tar(&image, assembled)?;
        image.archive_digest = Digest::of(&tar);
        let lock = self.lock()?;
        let dir = archive.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(dir).map_err(|error| ImageError::write(dir, &error))?;
        write::sweep(dir);
        write::whole(&image.sbom, &assembled.sbom)?;
        write::whole(&image.archive, &tar)?;
        // Last: what the list names is there.
        catalog::put(&self.dir, &image)?;
        drop(lock);
        Ok(image)
    }

    fn archive_path(&self, recipe: &Recipe) -> PathBuf {
        // The archive of this machine's platform has the short name: nearly always there is no other.
        if Platform::host() == Some(recipe.platform) {
            self.dir.join(format!("{}.tar", recipe.name))
        } else {
            self.dir.join(format!("{}.{}.tar", recipe.name, recipe.platform.file_name()))
        }
    }

    /// The right to write. The kernel takes it back when the process ends, however it ends.
    fn lock(&self) -> Result<File, ImageError> {
        let path = self.dir.join(LOCK);
        let cannot = |error: &std::io::Error| ImageError::write(&path, error);
        std::fs::create_dir_all(&self.dir).map_err(|error| ImageError::write(&self.dir, &error))?;
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| cannot(&error))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check_stop()?;
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::Error(error)) => return Err(cannot(&error)),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(ImageError::new(
                        "locked",
                        ErrorKind::Environment,
                        format!("another process has been writing to {} for a minute", self.dir.display()),
                    )
                    .fix("stop that process, or choose another directory with --out"));
                }
                // The kernel can't be waited for with a deadline.
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            }
        }
    }
}
