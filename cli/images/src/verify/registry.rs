//! An image in a registry: fetched and hashed.

use oci_client::RegistryOperation;
use oci_spec::image::{ImageIndex, ImageManifest};

use super::{Difference, Verified};
use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};
use crate::push::{Credentials, Place, Registry, failure};

const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Fetches `name:tag` or `name@sha256:…` whole, every platform of it, and computes all digests.
///
/// # Errors
/// The registry can't be reached, refuses, or does not have it.
pub async fn registry(
    reference: &str,
    place: &Place,
    credentials: Option<&Credentials>,
) -> Result<Verified, ImageError> {
    let registry = Registry::new(place, credentials)?;
    let image: oci_client::Reference = reference.parse().map_err(|error| {
        ImageError::new("reference", ErrorKind::Usage, format!("{reference:?} is no image: {error}"))
            .fix("use REGISTRY/PATH/NAME:TAG or REGISTRY/PATH/NAME@sha256:…")
    })?;
    registry.enter(&image, RegistryOperation::Pull).await?;
    let mut verified = Verified { blobs: 0, bytes: 0, differences: Vec::new() };
    let mut left = vec![(image.clone(), None)];
    while let Some((remote, expected)) = left.pop() {
        let fetched = registry.client.pull_manifest_raw(&remote, &registry.auth, &MANIFESTS).await;
        let bytes = match fetched {
            Ok((bytes, _)) => bytes,
            Err(oci_client::errors::OciDistributionError::DigestError(error)) => {
                verified.differences.push(Difference::new(&remote, "its digest", error));
                continue;
            }
            Err(error) => return Err(failure(&registry.host, &error)),
        };
        let actual = Digest::of(&bytes);
        let expected: Option<Digest> = expected.or_else(|| remote.digest().and_then(Digest::parse));
        verified.count(&bytes, &remote.to_string(), expected.as_ref(), &actual);
        if let Some(short) = remote.tag().and_then(|tag| tag.strip_prefix("sha-"))
            && !actual.hex().starts_with(short)
        {
            verified.differences.push(Difference::new(
                &remote,
                format_args!("a digest that begins with {short}"),
                &actual,
            ));
        }
        if let Ok(index) = serde_json::from_slice::<ImageIndex>(&bytes) {
            for inner in index.manifests() {
                let digest = inner.digest().to_string();
                left.push((image.clone_with_digest(digest.clone()), Digest::parse(&digest)));
            }
            continue;
        }
        let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&bytes) else {
            verified.differences.push(Difference::new(&remote, "a manifest", "another document"));
            continue;
        };
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            verified.blob(&registry, &image, blob.digest().as_ref(), blob.size()).await?;
        }
    }
    Ok(verified)
}

impl Verified {
    fn count(&mut self, bytes: &[u8], subject: &str, expected: Option<&Digest>, actual: &Digest) {
        self.blobs += 1;
        self.bytes += bytes.len() as u64;
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            self.differences.push(Difference::new(subject, expected, actual));
        }
    }

    async fn blob(
        &mut self,
        registry: &Registry,
        image: &oci_client::Reference,
        digest: &str,
        size: u64,
    ) -> Result<(), ImageError> {
        let mut bytes = Vec::new();
        match registry.client.pull_blob(image, digest, &mut bytes).await {
            // It has compared already; what it found is told below.
            Ok(()) | Err(oci_client::errors::OciDistributionError::DigestError(_)) => {}
            Err(error) => {
                let error = failure(&registry.host, &error);
                if error.code != "not-in-registry" {
                    return Err(error);
                }
                self.differences.push(Difference::new(digest, "a blob", "nothing"));
                return Ok(());
            }
        }
        self.count(&bytes, digest, Digest::parse(digest).as_ref(), &Digest::of(&bytes));
        if bytes.len() as u64 != size {
            let (expected, actual) = (format!("{size} bytes"), format!("{} bytes", bytes.len()));
            self.differences.push(Difference::new(digest, expected, actual));
        }
        Ok(())
    }
}
