//! An OCI layout directory with every image of a store: blobs that several share are there once.

use std::path::Path;

use crate::archive::{self, Contents};
use crate::catalog::Image;
use crate::error::ImageError;
use crate::index::MultiPlatform;
use crate::metadata;
use crate::write;

/// Writes the blobs that are missing, then the index that names them. Blobs that nobody names any more are removed last.
pub(crate) fn write(dir: &Path, images: &[Image]) -> Result<(), ImageError> {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(|error| ImageError::write(&blobs, &error))?;
    write::sweep(dir);
    write::sweep(&blobs);
    let mut named = Vec::new();
    let mut wanted = Vec::new();
    for image in images {
        let contents = Contents::read(&image.archive)?;
        for digest in [&image.layer_digest, &image.config_digest, &image.manifest_digest] {
            let bytes = contents
                .blob(digest)
                .ok_or_else(|| ImageError::internal(format!("{} has no blob {digest}", image.archive.display())))?;
            let path = dir.join(archive::blob(digest));
            if std::fs::metadata(&path).map(|found| found.len()).ok() != Some(bytes.len() as u64) {
                write::whole(&path, bytes)?;
            }
            wanted.push(digest.hex().to_owned());
        }
        named.push(archive::named(image)?);
    }
    for index in MultiPlatform::of(images)? {
        write::whole(&dir.join(archive::blob(&index.digest)), &index.document)?;
        wanted.push(index.digest.hex().to_owned());
        named.push(index.named()?);
    }
    write::whole(&dir.join(archive::INDEX), &metadata::index(named)?)?;
    write::whole(&dir.join(archive::LAYOUT), &archive::layout_marker()?)?;
    for entry in std::fs::read_dir(&blobs).into_iter().flatten().flatten() {
        if !wanted.contains(&entry.file_name().to_string_lossy().into_owned()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
