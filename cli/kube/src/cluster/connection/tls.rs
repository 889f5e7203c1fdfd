//! Whom a connection believes, and what it shows of itself.

use std::sync::Arc;

use kube::client::ConfigExt;
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use crate::cluster::kubeconfig::{Cluster, User};

/// A client's certificate with its key.
pub(super) type Identity = Arc<CertifiedKey>;

/// How the server is known.
#[derive(Clone)]
pub(super) struct Trust {
    config: ClientConfig,
    /// Instead of the host of the address.
    pub(super) name: Option<ServerName<'static>>,
}

impl Trust {
    /// # Errors
    /// Its authority can't be read. The sentence says which field is meant.
    pub(super) fn of(cluster: &Cluster) -> Result<Self, String> {
        let authority = match cluster.certificate_authority_data.as_slice() {
            [] if cluster.certificate_authority.is_empty() => None,
            [] => Some(file("certificate-authority", &cluster.certificate_authority)?),
            data => Some(data.to_vec()),
        };
        if authority.is_some() && cluster.insecure_skip_tls_verify {
            return Err("a certificate authority and insecure-skip-tls-verify exclude each other".to_owned());
        }
        let roots = authority.map(|pem| roots(&pem)).transpose()?;
        let name = Some(cluster.tls_server_name.clone()).filter(|name| !name.is_empty());
        let name = name.map(ServerName::try_from).transpose().map_err(|_| "tls-server-name is not a host name")?;
        let mut config = kube::Config::new(http::Uri::from_static("https://localhost"));
        config.root_cert = roots;
        config.accept_invalid_certs = cluster.insecure_skip_tls_verify;
        let config = config.rustls_client_config().map_err(|error| format!("certificate-authority: {error}"))?;
        Ok(Self { config, name })
    }

    pub(super) fn config(&self, identity: Option<&Identity>) -> ClientConfig {
        let mut config = self.config.clone();
        if let Some(identity) = identity {
            config.client_auth_cert_resolver = Arc::new(Shown(Arc::clone(identity)));
        }
        config
    }
}

/// Whatever the server asks for.
#[derive(Debug)]
struct Shown(Identity);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Identity> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The certificates of a bundle that are ones, as `kubectl` takes them.
fn roots(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut store = rustls::RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    let good: Vec<_> = all.filter(|der| store.add(der.clone()).is_ok()).map(|der| der.to_vec()).collect();
    if good.is_empty() { Err("there is no certificate in its certificate-authority".to_owned()) } else { Ok(good) }
}

/// Of a user of the kubeconfig, if that has one. What it holds as data counts before what it names as a file.
pub(super) fn identity(user: &User) -> Result<Option<Identity>, String> {
    let read = |what: &str, data: &[u8], path: &str| match (data, path) {
        ([], "") => Ok(None),
        ([], path) => file(what, path).map(Some),
        (data, _) => Ok(Some(data.to_vec())),
    };
    let certificate = read("client-certificate", &user.client_certificate_data, &user.client_certificate)?;
    let key = read("client-key", &user.client_key_data, &user.client_key)?;
    match (certificate, key) {
        (None, _) => Ok(None),
        (Some(_), None) => Err("it has a client-certificate and no client-key".to_owned()),
        (Some(certificate), Some(key)) => certified(&certificate, &key).map(Some),
    }
}

/// Of PEM. A certificate of X.509 version 1, as `openssl x509 -req` without extensions makes it, is as good as any: whether it
/// is believed is the server's affair.
pub(super) fn certified(certificate: &[u8], key: &[u8]) -> Result<Identity, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err("there is no certificate in its client-certificate".to_owned());
    }
    let encrypted = |text: &str| text.contains("ENCRYPTED");
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        if str::from_utf8(key).is_ok_and(encrypted) {
            "its client-key is encrypted with a password, which no client of Kubernetes asks for".to_owned()
        } else {
            "there is no key in its client-key".to_owned()
        }
    })?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = provider.key_provider.load_private_key(key).map_err(|_| "its client-key can't be used".to_owned())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err("its client-key is not that of its client-certificate".to_owned())
        }
        // It can't look into a certificate of version 1; then the server says.
        _ => Ok(Arc::new(certified)),
    }
}

/// What a field of the kubeconfig names.
pub(super) fn file(field: &str, path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("its {field} {path}: {error}"))
}
