//! One name for the images of several platforms.

use oci_spec::image::{Descriptor, MediaType};

use crate::archive;
use crate::catalog::Image;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::metadata;
use crate::platform::Platform;
use crate::reference::{Reference, Repository};

/// An OCI index over the images of one name: whoever pulls it gets the image of their platform.
#[derive(Debug, Clone)]
pub struct MultiPlatform {
    /// What it is in the platform.
    pub component: String,
    /// Of the images.
    pub name: String,
    /// What comes before the name.
    pub repository: Repository,
    /// What it has images for.
    pub platforms: Vec<Platform>,
    pub document: Vec<u8>,
    /// Of the document.
    pub digest: Digest,
}

impl MultiPlatform {
    /// Over every name that has images for more than one platform.
    ///
    /// # Errors
    /// A defect of ours.
    pub fn of(images: &[Image]) -> Result<Vec<Self>, ImageError> {
        let mut names: Vec<_> = images.iter().map(|image| (&image.repository, &image.name)).collect();
        names.sort();
        names.dedup();
        let mut indexes = Vec::new();
        for name in names {
            let mut same: Vec<_> = images.iter().filter(|image| (&image.repository, &image.name) == name).collect();
            same.sort_by_key(|image| image.platform);
            if let [first, _, ..] = *same {
                let document = metadata::index(entries(&same)?)?;
                indexes.push(Self {
                    component: first.component.clone(),
                    name: first.name.clone(),
                    repository: first.repository.clone(),
                    platforms: same.iter().map(|image| image.platform).collect(),
                    digest: Digest::of(&document),
                    document,
                });
            }
        }
        Ok(indexes)
    }

    /// `repository/name:sha-…`, made from the digest of the index.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference::new(&self.repository, &self.name, &self.digest)
    }

    /// In the index of a layout, under its name.
    pub(crate) fn named(&self) -> Result<Descriptor, ImageError> {
        let mut descriptor = metadata::descriptor(MediaType::ImageIndex, &self.digest, self.document.len() as u64)?;
        archive::name(&mut descriptor, self.reference());
        Ok(descriptor)
    }
}

fn entries(images: &[&Image]) -> Result<Vec<Descriptor>, ImageError> {
    images.iter().map(|image| metadata::entry(image.platform, &image.manifest_digest, image.manifest_size)).collect()
}
