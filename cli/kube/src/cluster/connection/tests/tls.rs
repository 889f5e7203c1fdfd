//! What is shown of a client, and what is believed of a server.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::Place;
use super::servers::Secure;
use crate::cluster::{ClusterError, Locality};

/// Of X.509 version 1: `openssl x509 -req` without extensions, signed with its own key. Of no use but for tests.
const CERTIFICATE_1: &str = include_str!("version-1.crt");
const KEY_1: &str = include_str!("version-1.key");

fn data(certificate: &str, key: &str) -> String {
    format!(
        "{{client-certificate-data: {}, client-key-data: {}}}",
        BASE64_STANDARD.encode(certificate),
        BASE64_STANDARD.encode(key)
    )
}

/// Lets in whom its CA has signed, and nobody else.
fn strict(authority: &CertificateDer<'static>) -> Arc<dyn ClientCertVerifier> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    WebPkiClientVerifier::builder(roots.into()).build().unwrap()
}

#[tokio::test]
async fn a_clients_certificate_of_version_1_is_shown_and_the_server_decides() {
    let server = Secure::start().await;
    Place::of(&server, "", &data(CERTIFICATE_1, KEY_1)).connect().await.unwrap();
    let shown = server.had()[0].certificate.clone().unwrap();
    let body: String = CERTIFICATE_1.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(shown, BASE64_STANDARD.decode(body).unwrap());
}

#[tokio::test]
async fn what_a_server_does_not_take_of_its_client_is_not_blamed_on_its_own() {
    let server = Secure::with(&["127.0.0.1"], strict).await;
    let (certificate, key) = server.client();
    Place::of(&server, "", &data(&certificate, &key)).connect().await.unwrap();
    let other = Secure::start().await.client();
    for user in [data(CERTIFICATE_1, KEY_1), data(&other.0, &other.1), "{}".to_owned()] {
        let error = Place::of(&server, "", &user).error().await;
        assert!(matches!(error, ClusterError::ClientCertificate { .. }), "{error:?}");
        assert!(error.to_string().contains("client's certificate"), "{error}");
    }
}

#[tokio::test]
async fn keys_and_certificates_that_can_not_be_used_are_named_by_their_field() {
    let server = Secure::start().await;
    let (certificate, key) = server.client();
    let (_, other) = server.client();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (user, reason) in [
        (data(&certificate, &other), "client-key is not that of its client-certificate"),
        (data(&certificate, encrypted), "client-key is encrypted"),
        (data(&certificate, "hunter2"), "no key in its client-key"),
        (data("hunter2", &key), "no certificate in its client-certificate"),
        (format!("{{client-certificate-data: {}}}", BASE64_STANDARD.encode(&certificate)), "no client-key"),
        ("{client-certificate: nowhere.crt, client-key: nowhere.key}".to_owned(), "nowhere.crt: No such file"),
    ] {
        let error = Place::of(&server, "", &user).error().await;
        assert!(matches!(error, ClusterError::Unusable { .. }) && error.to_string().contains(reason), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let place = Place::new();
    place.write(
        &format!("{{server: '{}', certificate-authority-data: {}}}", server.url, BASE64_STANDARD.encode("x")),
        "{}",
    );
    assert!(place.error().await.to_string().contains("no certificate in its certificate-authority"));
}

#[tokio::test]
async fn files_count_from_the_kubeconfig_and_data_before_them() {
    let server = Secure::start().await;
    let (certificate, key) = server.client();
    let place = Place::new();
    place.file("ca.crt", &server.pem);
    place.file("me.crt", &certificate);
    place.file("me.key", &key);
    place.file("wrong", "hunter2");
    let cluster = format!("{{server: '{}', certificate-authority: ca.crt}}", server.url);
    place.write(&cluster, "{client-certificate: ./me.crt, client-key: me.key}");
    place.connect().await.unwrap();
    let both = data(&certificate, &key).replace('}', ", client-certificate: wrong, client-key: wrong}");
    place.write(
        &format!(
            "{{server: '{}', certificate-authority: wrong, certificate-authority-data: {}}}",
            server.url, server.authority
        ),
        &both,
    );
    place.connect().await.unwrap();
    assert!(server.had().iter().all(|had| had.certificate.is_some()));
}

#[tokio::test]
async fn a_server_is_known_by_the_name_that_is_said() {
    let server = Secure::with(&["prod.example.com"], |_| WebPkiClientVerifier::no_client_auth()).await;
    let error = Place::of(&server, "", "{}").error().await;
    assert!(matches!(error, ClusterError::Tls { .. }), "{error:?}");
    let cluster = Place::of(&server, ", tls-server-name: prod.example.com", "{}").connect().await.unwrap();
    // That is the other end of a tunnel.
    assert_eq!(cluster.locality(), Locality::Remote);
    let place = Place::new();
    place.write(&format!("{{server: '{}', insecure-skip-tls-verify: true}}", server.url), "{}");
    assert_eq!(place.connect().await.unwrap().locality(), Locality::Remote);
    let error = Place::of(&server, ", insecure-skip-tls-verify: true", "{}").error().await;
    assert!(error.to_string().contains("exclude each other"), "{error}");
}
