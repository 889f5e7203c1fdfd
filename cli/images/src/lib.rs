//! Container images of the platform's binaries, made in this process: no daemon, no base image, no download.
//!
//! ```text
//! compile → Recipe ─ assemble ─► Assembled (blobs in memory) ─ Store::put ─► Image (archive, SBOM, catalog)
//!                                                                              │
//!                                                  load · push · verify ◄──────┘
//! ```
//!
//! Owns what is in an image, how it is written, and how it gets into a runtime or a registry. Knows nothing of the
//! command line: what there is to say is said by whoever calls, from an [`ImageError`] or through a callback.

mod archive;
mod assemble;
mod catalog;
mod closure;
pub mod compile;
mod component;
mod digest;
mod elf;
mod error;
mod group;
mod index;
mod layer;
mod layout;
pub mod load;
mod metadata;
mod platform;
pub mod push;
mod recipe;
mod reference;
mod rootfs;
mod sbom;
mod store;
pub mod verify;
mod write;

pub use self::assemble::{Assembled, assemble};
pub use self::catalog::{Image, Linkage, MultiPlatform};
pub use self::component::Component;
pub use self::digest::Digest;
pub use self::error::{ErrorKind, ImageError};
pub use self::platform::{Architecture, Platform};
pub use self::recipe::Recipe;
pub use self::reference::{Reference, Repository};
pub use self::sbom::Crates;
pub use self::store::{Built, Store};
