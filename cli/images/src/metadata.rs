//! The documents of an image: configuration, manifest, index.

use std::collections::{BTreeMap, HashMap};

use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, HistoryBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, PlatformBuilder, RootFsBuilder, Sha256Digest,
};
use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::error::ImageError;
use crate::platform::{Architecture, Platform};
use crate::recipe::Recipe;
use crate::rootfs;

const LABEL: &str = "org.opencontainers.image";

/// A document's bytes, the same for the same content: object keys are sorted whatever the maps were.
pub(crate) fn canonical(document: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let fields: BTreeMap<_, _> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                fields.into_iter().collect()
            }
            Value::Array(items) => items.into_iter().map(sorted).collect(),
            value => value,
        }
    }
    let value = serde_json::to_value(document).map_err(ImageError::internal)?;
    serde_json::to_vec(&sorted(value)).map_err(ImageError::internal)
}

/// `org.opencontainers.image.*` and what the recipe adds.
pub(crate) fn labels(recipe: &Recipe) -> BTreeMap<String, String> {
    let own = [
        ("title", recipe.name.as_str()),
        ("description", &recipe.description),
        ("version", &recipe.version),
        ("licenses", "Apache-2.0 OR MIT"),
    ];
    let own = own.into_iter().map(|(name, value)| (format!("{LABEL}.{name}"), value.to_owned()));
    own.chain(recipe.labels.clone()).collect()
}

/// The image's configuration.
pub(crate) fn configuration(
    recipe: &Recipe,
    program: &str,
    library_path: Option<String>,
    diff_id: &Digest,
) -> Result<Vec<u8>, ImageError> {
    let created = timestamp(recipe.created)?;
    let mut environment = vec![
        "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
        "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt".to_owned(),
        "HOME=/tmp".to_owned(),
    ];
    environment.extend(library_path.map(|path| format!("LD_LIBRARY_PATH={path}")));
    let config = ConfigBuilder::default()
        .user(rootfs::USER)
        .env(environment)
        .entrypoint([program.to_owned()])
        .working_dir("/")
        .labels(labels(recipe).into_iter().collect::<HashMap<_, _>>())
        .stop_signal("SIGTERM")
        .build()
        .map_err(ImageError::internal)?;
    let rootfs =
        RootFsBuilder::default().typ("layers").diff_ids([diff_id.to_string()]).build().map_err(ImageError::internal)?;
    let history = HistoryBuilder::default()
        .created(created.as_str())
        .created_by(format!("cardctl images build {}", recipe.name))
        .build()
        .map_err(ImageError::internal)?;
    let document = ImageConfigurationBuilder::default()
        .created(created)
        .architecture(arch(recipe.platform))
        .os(Os::Linux)
        .config(config)
        .rootfs(rootfs)
        .history([history])
        .build()
        .map_err(ImageError::internal)?;
    canonical(&document)
}

/// The image's manifest.
pub(crate) fn manifest(recipe: &Recipe, config: &[u8], layer: &[u8]) -> Result<Vec<u8>, ImageError> {
    let document = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, &Digest::of(config), config.len() as u64)?)
        .layers([descriptor(MediaType::ImageLayerGzip, &Digest::of(layer), layer.len() as u64)?])
        .annotations(labels(recipe).into_iter().collect::<HashMap<_, _>>())
        .build()
        .map_err(ImageError::internal)?;
    canonical(&document)
}

/// Which manifest is for which platform.
pub(crate) fn index(manifests: impl IntoIterator<Item = Descriptor>) -> Result<Vec<u8>, ImageError> {
    let document = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests.into_iter().collect::<Vec<_>>())
        .build()
        .map_err(ImageError::internal)?;
    canonical(&document)
}

pub(crate) fn descriptor(kind: MediaType, digest: &Digest, size: u64) -> Result<Descriptor, ImageError> {
    let digest: Sha256Digest = digest.hex().parse().map_err(ImageError::internal)?;
    DescriptorBuilder::default().media_type(kind).digest(digest).size(size).build().map_err(ImageError::internal)
}

/// A manifest in an index, for its platform.
pub(crate) fn entry(platform: Platform, manifest: &Digest, size: u64) -> Result<Descriptor, ImageError> {
    let mut descriptor = descriptor(MediaType::ImageManifest, manifest, size)?;
    let platform =
        PlatformBuilder::default().architecture(arch(platform)).os(Os::Linux).build().map_err(ImageError::internal)?;
    descriptor.set_platform(Some(platform));
    Ok(descriptor)
}

fn arch(platform: Platform) -> Arch {
    match platform.architecture {
        Architecture::Amd64 => Arch::Amd64,
        Architecture::Arm64 => Arch::ARM64,
    }
}

/// RFC 3339, in UTC.
fn timestamp(seconds: u64) -> Result<String, ImageError> {
    let seconds = i64::try_from(seconds).map_err(ImageError::internal)?;
    Ok(jiff::Timestamp::from_second(seconds).map_err(ImageError::internal)?.to_string())
}
