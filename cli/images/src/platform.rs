//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use goblin::elf::header::{EM_AARCH64, EM_X86_64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ErrorKind, ImageError};

/// The processors that images are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Architecture {
    /// x86_64.
    Amd64,
    /// aarch64.
    Arm64,
}

/// `linux/amd64` or `linux/arm64`: the platform is a Linux one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The processor.
    pub architecture: Architecture,
}

impl Architecture {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// As OCI calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As compilers call it, the first part of a target triple.
    #[must_use]
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// What an ELF header calls it.
    pub(crate) const fn machine(self) -> u16 {
        match self {
            Self::Amd64 => EM_X86_64,
            Self::Arm64 => EM_AARCH64,
        }
    }

    pub(crate) fn of_machine(machine: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| architecture.machine() == machine)
    }
}

impl Platform {
    /// Linux on the processor of this machine; none if no image is made for it.
    #[must_use]
    pub fn host() -> Option<Self> {
        let architecture = Architecture::ALL.into_iter().find(|known| known.triple() == std::env::consts::ARCH)?;
        Some(Self { architecture })
    }

    /// As part of a file's name.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("linux-{}", self.architecture.name())
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture.name())
    }
}

impl FromStr for Platform {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let architecture = match text {
            "linux/amd64" | "linux/x86_64" => Some(Architecture::Amd64),
            "linux/arm64" | "linux/arm64/v8" | "linux/aarch64" => Some(Architecture::Arm64),
            _ => None,
        };
        architecture.map(|architecture| Self { architecture }).ok_or_else(|| {
            ImageError::new("platform", ErrorKind::Usage, format!("images for the platform {text:?} are not supported"))
                .fix("use linux/amd64 or linux/arm64")
        })
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_read_as_it_is_written() {
        for architecture in Architecture::ALL {
            let platform = Platform { architecture };
            assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform);
            assert_eq!(Architecture::of_machine(architecture.machine()), Some(architecture));
        }
        for text in ["", "linux", "amd64", "windows/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap_err().kind, ErrorKind::Usage, "{text}");
        }
    }
}
