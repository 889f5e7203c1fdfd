//! One blob to a registry, again when the registry or the network breaks off.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use oci_spec::distribution::Reference as Remote;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Body, Method, StatusCode, Url};

use super::http::{Trouble, sent};
use super::{Event, Registry, Right, Watch, failure};
use crate::digest::Digest;
use crate::error::ImageError;

/// Between one attempt and the next; so many there are.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];
/// As long a registry may ask for.
const LONGEST: Duration = Duration::from_secs(60);
/// What is sent at once, and between two events.
const PIECE: usize = 1 << 20;
const BYTES: &str = "application/octet-stream";

/// What a registry answers that takes no pieces: to the first of them.
const NO_PIECES: [StatusCode; 7] = [
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::LENGTH_REQUIRED,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::RANGE_NOT_SATISFIABLE,
    StatusCode::NOT_IMPLEMENTED,
];

/// Whether it was there already.
pub(super) async fn send(
    registry: &Registry,
    image: &Remote,
    name: &str,
    digest: &Digest,
    bytes: Bytes,
    watch: &Watch,
) -> Result<bool, ImageError> {
    let size = bytes.len() as u64;
    let attempt = || async {
        // Looked at again before each attempt: the one that broke off may have arrived.
        let present = is_there(registry, image, digest).await?;
        watch(Event::Blob { name: name.to_owned(), digest: digest.clone(), size, present });
        if !present {
            upload(registry, image, digest, &bytes, watch).await?;
        }
        Ok(present)
    };
    again(registry, image, watch, attempt).await
}

/// As often as it may help, and once more with a new token where the old one is over.
pub(super) async fn again<T, F>(
    registry: &Registry,
    image: &Remote,
    watch: &Watch,
    attempt: impl Fn() -> F,
) -> Result<T, ImageError>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let mut pauses = PAUSES.into_iter();
    let mut entered = false;
    loop {
        let trouble = match attempt().await {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        let failed = failure(&registry.host, &trouble);
        if trouble.has(&[StatusCode::UNAUTHORIZED]) && !entered && registry.http.is_somebody() {
            entered = true;
            registry.enter(image, Right::Push).await?;
            continue;
        }
        let Some(pause) = pauses.next().filter(|_| trouble.is_transient()) else { return Err(failed) };
        watch(Event::Again(failed.to_string()));
        let asked = match &trouble {
            Trouble::Refused(refused) => refused.again,
            _ => None,
        };
        match asked {
            Some(asked) if asked > LONGEST => return Err(failed),
            asked => tokio::time::sleep(asked.unwrap_or(pause)).await,
        }
    }
}

/// A registry that does not let us look may still let us send.
async fn is_there(registry: &Registry, image: &Remote, digest: &Digest) -> Result<bool, Trouble> {
    let url = registry.http.url(image, &format!("blobs/{digest}"));
    match sent(registry.http.request(Method::HEAD, &url)).await {
        Ok(_) => Ok(true),
        Err(Trouble::Refused(refused)) if matches!(refused.code, 400 | 403..=407 | 410..=417 | 501) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// In pieces, or, where the registry takes none, as a whole.
async fn upload(
    registry: &Registry,
    image: &Remote,
    digest: &Digest,
    bytes: &Bytes,
    watch: &Watch,
) -> Result<(), Trouble> {
    let Some(place) = begin(registry, image).await? else { return Ok(()) };
    match pieces(registry, place, bytes, watch).await {
        Ok(place) => finish(registry, place, digest, None).await,
        Err((0, trouble)) if trouble.has(&NO_PIECES) => {
            let Some(place) = begin(registry, image).await? else { return Ok(()) };
            finish(registry, place, digest, Some((bytes, watch))).await
        }
        Err((_, trouble)) => Err(trouble),
    }
}

/// Where to send it; none if the registry found that it has it.
async fn begin(registry: &Registry, image: &Remote) -> Result<Option<Url>, Trouble> {
    let url = registry.http.url(image, "blobs/uploads/");
    let answer = sent(registry.http.request(Method::POST, &url).header(CONTENT_LENGTH, 0)).await?;
    if answer.status() == StatusCode::CREATED {
        return Ok(None);
    }
    let place = registry.http.location(&answer)?;
    place.map(Some).ok_or_else(|| Trouble::Nonsense("it gave no upload location".to_owned()))
}

/// All of them. An error comes with how many bytes arrived.
async fn pieces(registry: &Registry, mut place: Url, bytes: &Bytes, watch: &Watch) -> Result<Url, (usize, Trouble)> {
    let mut start = 0;
    while start < bytes.len() {
        let end = bytes.len().min(start + PIECE);
        let request = registry.http.request(Method::PATCH, &place).header(CONTENT_TYPE, BYTES);
        let request = request.header(CONTENT_RANGE, format!("{start}-{}", end - 1)).body(bytes.slice(start..end));
        let answer = sent(request).await.map_err(|trouble| (start, trouble))?;
        watch(Event::Sent((end - start) as u64));
        if let Some(next) = registry.http.location(&answer).map_err(|trouble| (start, trouble))? {
            place = next;
        }
        start = end;
    }
    Ok(place)
}

async fn finish(
    registry: &Registry,
    mut place: Url,
    digest: &Digest,
    whole: Option<(&Bytes, &Watch)>,
) -> Result<(), Trouble> {
    place.query_pairs_mut().append_pair("digest", digest.as_str());
    let request = registry.http.request(Method::PUT, &place).header(CONTENT_TYPE, BYTES);
    let request = match whole {
        None => request.header(CONTENT_LENGTH, 0),
        Some((bytes, watch)) => {
            let told = watch.clone();
            let parts = stream::unfold(bytes.clone(), move |mut left| {
                let part = left.split_to(left.len().min(PIECE));
                if !part.is_empty() {
                    told(Event::Sent(part.len() as u64));
                }
                std::future::ready((!part.is_empty()).then_some((Ok::<_, std::io::Error>(part), left)))
            });
            request.header(CONTENT_LENGTH, bytes.len()).body(Body::wrap_stream(parts))
        }
    };
    sent(request).await.map(drop)
}
