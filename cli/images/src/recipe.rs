//! What goes into an image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::component::Component;
use crate::error::{ErrorKind, ImageError};
use crate::platform::Platform;
use crate::reference::Repository;
use crate::sbom::Crates;

/// Where systems keep the certificates that they trust, in one file.
const CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Everything that an image depends on. The same recipe with the same files makes the same digest.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What it is in the platform: `server`.
    pub component: String,
    /// Of the image and of the program in it: `card-server`.
    pub name: String,
    /// `org.opencontainers.image.description`.
    pub description: String,
    /// `org.opencontainers.image.version`.
    pub version: String,
    /// The program: static, or dynamic with what it needs on this machine.
    pub binary: PathBuf,
    /// What comes before the name.
    pub repository: Repository,
    /// What the program is built for.
    pub platform: Platform,
    /// Beside those that every image has; one of the same name wins.
    pub labels: BTreeMap<String, String>,
    /// The crates that the program is made of, if they are known.
    pub crates: Option<Crates>,
    /// The certificates to trust; none: this machine's.
    pub certificates: Option<PathBuf>,
    /// Where the libraries of a dynamic program are; none: this machine, if it is of that platform.
    pub sysroot: Option<PathBuf>,
    /// Seconds since 1970 that the image says it was made at. Not now: that would be another digest each time.
    pub created: u64,
}

impl Recipe {
    /// Of a component's program, with everything else as it is without being asked.
    #[must_use]
    pub fn new(component: Component, binary: PathBuf, platform: Platform) -> Self {
        Self {
            component: component.component.to_owned(),
            name: component.name.to_owned(),
            description: component.description.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary,
            repository: Repository::default(),
            platform,
            labels: BTreeMap::new(),
            crates: None,
            certificates: None,
            sysroot: None,
            created: 0,
        }
    }

    pub(crate) fn certificates(&self) -> Result<Vec<u8>, ImageError> {
        let path = match &self.certificates {
            Some(path) => path.as_path(),
            None => CERTIFICATES.iter().map(Path::new).find(|path| path.is_file()).ok_or_else(|| {
                ImageError::new("no-certificates", ErrorKind::Environment, "this machine has no CA certificates")
                    .evidence(format!("looked for {}", CERTIFICATES.join(", ")))
                    .fix("apt install ca-certificates, or name a file with --certificates")
            })?,
        };
        let bytes = std::fs::read(path).map_err(|error| ImageError::read(path, &error))?;
        if !bytes.windows(11).any(|window| window == b"-----BEGIN ") {
            return Err(ImageError::new(
                "no-certificates",
                ErrorKind::Environment,
                format!("{} has no certificate in it", path.display()),
            )
            .fix("name a file of PEM certificates with --certificates"));
        }
        Ok(bytes)
    }

    pub(crate) fn sysroot(&self) -> Result<&Path, ImageError> {
        match &self.sysroot {
            Some(root) => Ok(root),
            None if Platform::host() == Some(self.platform) && cfg!(target_os = "linux") => Ok(Path::new("/")),
            None => Err(ImageError::new(
                "no-sysroot",
                ErrorKind::Environment,
                format!("{} needs the libraries of a {} system, which this is not", self.name, self.platform),
            )
            .fix("build it with --linkage static, or name the root of such a system with --sysroot")),
        }
    }
}
