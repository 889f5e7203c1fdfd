//! One blob to a registry, again when the registry or the network breaks off.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use oci_client::Reference as Remote;
use oci_client::errors::OciDistributionError;

use super::{Event, Registry, Watch, failure};
use crate::digest::Digest;
use crate::error::ImageError;

/// Between one attempt and the next; so many there are.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];
/// What is sent at once, and between two events.
const PIECE: usize = 1 << 20;

/// Whether it was there already.
pub(super) async fn send(
    registry: &Registry,
    image: &Remote,
    name: &str,
    digest: &Digest,
    bytes: Bytes,
    watch: &Watch,
) -> Result<bool, ImageError> {
    let failed = |error: &OciDistributionError| failure(&registry.host, error);
    let size = bytes.len() as u64;
    let mut pauses = PAUSES.into_iter();
    loop {
        // Looked at again before each attempt: the one that broke off may have arrived.
        let outcome = match registry.client.blob_exists(image, digest.as_str()).await {
            Ok(present) => {
                watch(Event::Blob { name: name.to_owned(), digest: digest.clone(), size, present });
                if present {
                    return Ok(true);
                }
                upload(registry, image, digest, bytes.clone(), watch).await
            }
            Err(error) => Err(error),
        };
        match (outcome, pauses.next()) {
            (Ok(()), _) => return Ok(false),
            (Err(error), Some(pause)) if failure::is_transient(&error) => {
                watch(Event::Again(failed(&error).to_string()));
                tokio::time::sleep(pause).await;
            }
            (Err(error), _) => return Err(failed(&error)),
        }
    }
}

async fn upload(
    registry: &Registry,
    image: &Remote,
    digest: &Digest,
    bytes: Bytes,
    watch: &Watch,
) -> Result<(), OciDistributionError> {
    let (told, whole) = (watch.clone(), bytes.clone());
    let pieces = stream::unfold(bytes, move |mut left| {
        let piece = left.split_to(left.len().min(PIECE));
        if !piece.is_empty() {
            told(Event::Sent(piece.len() as u64));
        }
        std::future::ready((!piece.is_empty()).then_some((Ok(piece), left)))
    });
    match registry.client.push_blob_stream(image, pieces, digest.as_str(), Some(whole.len() as u64)).await {
        // Some registries know no chunks; then in one piece.
        Err(OciDistributionError::SpecViolationError(_)) => {
            registry.client.push_blob(image, whole, digest.as_str()).await.map(drop)
        }
        sent => sent.map(drop),
    }
}
