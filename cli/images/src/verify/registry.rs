//! An image in a registry: fetched and hashed.

use bytes::Bytes;
use oci_spec::distribution::Reference as Remote;
use oci_spec::image::{ImageIndex, ImageManifest};
use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode};

use super::{Difference, Verified};
use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};
use crate::push::{Credentials, Place, Registry, Right, Trouble, failure, lost, sent};

/// Not all registries send it.
const DIGEST: &str = "docker-content-digest";
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Fetches `name:tag` or `name@sha256:DIGEST` whole, every platform of it, and computes all digests.
///
/// # Errors
/// The registry can't be reached, refuses, or does not have it.
pub async fn registry(
    reference: &str,
    place: &Place,
    credentials: Option<&Credentials>,
) -> Result<Verified, ImageError> {
    let registry = Registry::new(place, credentials)?;
    let image: Remote = reference.parse().map_err(|error| {
        ImageError::new("reference", ErrorKind::Usage, format!("{reference:?} is not an image reference: {error}"))
            .fix("use REGISTRY/PATH/NAME:TAG or REGISTRY/PATH/NAME@sha256:DIGEST")
    })?;
    registry.enter(&image, Right::Pull).await?;
    let mut verified = Verified { blobs: 0, bytes: 0, differences: Vec::new() };
    let mut left = vec![(image.clone(), None)];
    while let Some((remote, expected)) = left.pop() {
        let (bytes, called) = match manifest(&registry, &remote).await {
            Ok(fetched) => fetched,
            Err(trouble) => return Err(failure(&registry.host, &trouble)),
        };
        let actual = Digest::of(&bytes);
        let expected: Option<Digest> = expected.or_else(|| remote.digest().and_then(Digest::parse));
        verified.count(&bytes, &remote.to_string(), expected.as_ref(), &actual);
        if let Some(called) = called.filter(|called| *called != actual) {
            verified.differences.push(Difference::new(
                &remote,
                format_args!("{called}, as the registry calls it"),
                &actual,
            ));
        }
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

/// A manifest or an index, and the digest that the registry gives for it.
async fn manifest(registry: &Registry, image: &Remote) -> Result<(Bytes, Option<Digest>), Trouble> {
    let which = image.digest().or_else(|| image.tag()).unwrap_or("latest");
    let url = registry.http.url(image, &format!("manifests/{which}"));
    let request = registry.http.request(Method::GET, &url).header(ACCEPT, MANIFESTS.join(", "));
    let answer = sent(request).await?;
    let called = answer.headers().get(DIGEST).and_then(|value| Digest::parse(value.to_str().ok()?));
    Ok((answer.bytes().await.map_err(lost)?, called))
}

impl Verified {
    fn count(&mut self, bytes: &[u8], subject: &str, expected: Option<&Digest>, actual: &Digest) {
        self.blobs += 1;
        self.bytes += bytes.len() as u64;
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            self.differences.push(Difference::new(subject, expected, actual));
        }
    }

    async fn blob(&mut self, registry: &Registry, image: &Remote, digest: &str, size: u64) -> Result<(), ImageError> {
        let url = registry.http.url(image, &format!("blobs/{digest}"));
        let fetched = async { sent(registry.http.request(Method::GET, &url)).await?.bytes().await.map_err(lost) };
        let bytes = match fetched.await {
            Ok(bytes) => bytes,
            Err(trouble) if trouble.has(&[StatusCode::NOT_FOUND]) => {
                self.differences.push(Difference::new(digest, "a blob", "nothing"));
                return Ok(());
            }
            Err(trouble) => return Err(failure(&registry.host, &trouble)),
        };
        self.count(&bytes, digest, Digest::parse(digest).as_ref(), &Digest::of(&bytes));
        if bytes.len() as u64 != size {
            let (expected, actual) = (format!("{size} bytes"), format!("{} bytes", bytes.len()));
            self.differences.push(Difference::new(digest, expected, actual));
        }
        Ok(())
    }
}
