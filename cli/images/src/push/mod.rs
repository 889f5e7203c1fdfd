//! Images to a registry, and what is there already is not sent again.

mod blobs;
mod challenge;
mod credentials;
mod failure;
mod http;
mod place;
mod token;

use std::sync::Arc;

use oci_spec::distribution::Reference as Remote;
use oci_spec::image::MediaType;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

pub use self::credentials::{Credentials, credentials};
pub(crate) use self::failure::failure;
pub(crate) use self::http::{Trouble, lost, sent};
pub use self::place::Place;
use crate::archive::Contents;
use crate::catalog::Image;
use crate::digest::Digest;
use crate::error::{ErrorKind, ImageError};
use crate::index::MultiPlatform;
use crate::platform::Platform;
use crate::reference::Reference;

/// What goes on, for who shows it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A blob of so many bytes comes next.
    Blob {
        /// Of which image.
        name: String,
        digest: Digest,
        /// In bytes.
        size: u64,
        /// It is there: nothing is sent.
        present: bool,
    },
    /// So many more bytes are on their way.
    Sent(u64),
    /// It failed and is tried again.
    Again(String),
}

/// Takes [`Event`]s.
pub type Watch = Arc<dyn Fn(Event) + Send + Sync>;

/// What is in the registry now.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// What it is in the platform.
    pub component: String,
    /// Its name, tag and digest there.
    pub reference: Reference,
    /// For which platforms.
    pub platforms: Vec<Platform>,
    /// Bytes of blobs that were sent.
    pub sent: u64,
    /// Bytes of blobs that were there.
    pub present: u64,
}

/// A registry and who speaks to it.
pub(crate) struct Registry {
    pub(crate) host: String,
    pub(crate) http: http::Http,
    place: Place,
}

/// What somebody wants to do in a repository.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Right {
    Pull,
    Push,
}

impl Registry {
    pub(crate) fn new(place: &Place, credentials: Option<&Credentials>) -> Result<Self, ImageError> {
        let http = http::Http::new(place, credentials.map(|known| known.0.clone())).map_err(ImageError::internal)?;
        Ok(Self { host: place.registry.clone(), http, place: place.clone() })
    }

    /// Signs in, for what follows.
    pub(crate) async fn enter(&self, image: &Remote, right: Right) -> Result<(), ImageError> {
        let challenge = self.http.challenge().await.map_err(|trouble| failure(&self.host, &trouble))?;
        let Some(bearer) = challenge else { return Ok(()) };
        let actions = match right {
            Right::Pull => "pull",
            Right::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", image.repository());
        if let Some(token) = token::fetch(&self.place, &bearer, &scope, self.http.shown().as_ref()).await? {
            self.http.show(token);
        }
        Ok(())
    }
}

/// Sends images, those of one name and several platforms under one index.
///
/// # Errors
/// The registry can't be reached, refuses, or breaks off too often. What arrived stays there and is not sent again the
/// next time; a name stands for an image only when all of it arrived.
pub async fn push(
    images: &[Image],
    place: &Place,
    credentials: Option<&Credentials>,
    watch: &Watch,
) -> Result<Vec<Pushed>, ImageError> {
    let registry = Registry::new(place, credentials)?;
    let images: Vec<_> = images.iter().map(|image| image.in_repository(&place.repository)).collect();
    let indexes = MultiPlatform::of(&images)?;
    let mut pushed = Vec::new();
    for image in &images {
        let done = one(&registry, image, watch).await?;
        // Of several platforms it is the index that has a name.
        if !indexes.iter().any(|index| index.name == image.name) {
            pushed.push(done);
        } else if let Some(place) = pushed.iter_mut().find(|known: &&mut Pushed| known.component == done.component) {
            place.sent += done.sent;
            place.present += done.present;
        } else {
            pushed.push(done);
        }
    }
    for index in &indexes {
        let reference = index.reference();
        document(&registry, &reference, &index.document, MediaType::ImageIndex, watch).await?;
        for known in pushed.iter_mut().filter(|known| known.component == index.component) {
            known.reference = reference.clone();
            known.platforms = index.platforms.clone();
        }
    }
    Ok(pushed)
}

async fn one(registry: &Registry, image: &Image, watch: &Watch) -> Result<Pushed, ImageError> {
    let contents = Contents::read(&image.archive)?;
    let reference = image.reference();
    let remote = remote(&reference)?;
    registry.enter(&remote, Right::Push).await?;
    let (mut sent, mut present) = (0, 0);
    for digest in [&image.layer_digest, &image.config_digest] {
        let bytes = whole(image, &contents, digest)?;
        let size = bytes.len() as u64;
        let is_present = blobs::send(registry, &remote, &image.name, digest, bytes, watch).await?;
        *(if is_present { &mut present } else { &mut sent }) += size;
    }
    // Last: a manifest in a registry promises that its blobs are there.
    let manifest = whole(image, &contents, &image.manifest_digest)?;
    document(registry, &reference, &manifest, MediaType::ImageManifest, watch).await?;
    Ok(Pushed { component: image.component.clone(), reference, platforms: vec![image.platform], sent, present })
}

/// A blob of an archive, if it is what was built.
fn whole(image: &Image, contents: &Contents, digest: &Digest) -> Result<bytes::Bytes, ImageError> {
    let bytes = contents.blob(digest).filter(|bytes| Digest::of(bytes) == *digest);
    bytes.cloned().ok_or_else(|| {
        ImageError::new(
            "damaged-archive",
            ErrorKind::Different,
            format!("{} is not what was built: the blob {digest} is missing or damaged", image.archive.display()),
        )
        .fix("cardctl images build")
    })
}

/// Sends a manifest or an index under its tag, and asks the registry what it has there now.
async fn document(
    registry: &Registry,
    reference: &Reference,
    bytes: &[u8],
    kind: MediaType,
    watch: &Watch,
) -> Result<(), ImageError> {
    let remote = remote(reference)?;
    let url = registry.http.url(&remote, &format!("manifests/{}", remote.tag().unwrap_or("latest")));
    let kind = kind.to_string();
    let put = || async {
        let request = registry.http.request(Method::PUT, &url).header(CONTENT_TYPE, &kind).body(bytes.to_vec());
        sent(request).await.map(drop)
    };
    blobs::again(registry, &remote, watch, put).await?;
    let get = || async {
        let answer = sent(registry.http.request(Method::GET, &url).header(ACCEPT, &kind)).await?;
        answer.bytes().await.map_err(lost)
    };
    let there = match blobs::again(registry, &remote, watch, get).await {
        Ok(there) => Digest::of(&there).to_string(),
        Err(error) if error.code == "registry-refused" => {
            let message = format!("{reference} was sent, but the registry does not allow verifying it");
            let error = error
                .evidence
                .into_iter()
                .fold(ImageError::new("not-seen", ErrorKind::Unknown, message), ImageError::evidence);
            return Err(error.fix("give the account pull permission too"));
        }
        Err(error) => return Err(error),
    };
    if there == reference.digest.as_str() {
        return Ok(());
    }
    Err(ImageError::new(
        "not-pushed",
        ErrorKind::Different,
        format!("{reference} was sent, but the registry has another image of that name"),
    )
    .evidence(format!("expected {}, found {there}", reference.digest)))
}

pub(crate) fn remote(reference: &Reference) -> Result<Remote, ImageError> {
    reference.tagged().parse().map_err(|error| {
        ImageError::new("repository", ErrorKind::Usage, format!("{reference} is not a registry reference"))
            .evidence(format!("{error}"))
    })
}
