//! The platform's Kubernetes manifests, and what makes one set of objects of them.
