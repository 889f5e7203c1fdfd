//! The platform's Kubernetes manifests, and what makes one set of objects of them.
//!
//! The manifests are plain YAML beside this code, which `kubectl apply -k` takes as it is. They are compiled in, and
//! [`render`] makes of them what `kubectl kustomize` would, with [`Values`] on top: an overlay, images, a namespace, how
//! many of what. [`validate`] finds what is wrong with objects without asking a cluster, [`load`] reads them from files, and
//! [`pin`] writes the digests of images into a kustomization. What a cluster makes of them is the affair of others.

mod files;
mod image;
mod kinds;
mod kustomize;
mod load;
mod pin;
mod render;
mod validate;
mod values;
mod yaml;

pub use self::files::{Embedded, Files};
pub use self::image::Image;
pub use self::kinds::in_apply_order;
pub use self::kustomize::{RenderError, build};
pub use self::load::{LoadError, load};
pub use self::pin::{PinError, Pinned, pin};
pub use self::render::{BUNDLED_REDIS_URL, SECRET, TLS_SECRET, bundled_database_url, render};
pub use self::validate::{Finding, Level, unpinned, validate};
pub use self::values::{Bounds, Ingress, NodePort, Overlay, Provision, PullPolicy, Scale, Values};
pub use self::yaml::to_yaml;
