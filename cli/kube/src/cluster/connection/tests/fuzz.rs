//! Kubeconfigs that nobody meant: real ones with single places changed, and bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::connection::Connection;
use crate::cluster::kubeconfig::Snapshot;
use crate::testing::{any_json, changed};

/// One with each field that there is.
fn whole() -> Value {
    let certificate = BASE64_STANDARD.encode(include_str!("version-1.crt"));
    let key = BASE64_STANDARD.encode(include_str!("version-1.key"));
    json!({"apiVersion": "v1", "kind": "Config", "preferences": {"colors": true}, "current-context": "it",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/x", "tls-server-name": "kubernetes",
            "insecure-skip-tls-verify": false, "certificate-authority": "ca.crt", "certificate-authority-data": certificate,
            "proxy-url": "socks5://u:p@127.0.0.1:1", "disable-compression": true,
            "extensions": [{"name": "cluster_info", "extension": {"provider": "minikube.sigs.k8s.io"}}]}}],
        "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u", "namespace": "n", "extensions": []}}],
        "users": [{"name": "u", "user": {"client-certificate-data": certificate, "client-key-data": key,
            "client-certificate": "me.crt", "client-key": "me.key", "token": "t", "tokenFile": "token", "as": "eve",
            "as-uid": "1", "as-groups": ["g"], "as-user-extra": {"k": ["v"]}, "username": "", "password": "",
            "exec": {"command": "./plugin", "args": ["a"], "env": [{"name": "N", "value": "v"}], "installHint": "h",
                "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "provideClusterInfo": true}}}]})
}

/// What the commands do before the first request.
fn read(bytes: &[u8]) {
    crate::cluster::install_tls();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::fs::write(&path, bytes).unwrap();
    let proxied = |name: &str| (name == "HTTPS_PROXY").then(|| "http://127.0.0.1:1".to_owned());
    let _ = Snapshot::read(Some(&path), None, &|_| None);
    if let Ok(snapshot) = Snapshot::read(Some(&path), Some("it"), &proxied) {
        let _ = snapshot.recheck();
        let _ = Connection::of(&snapshot);
    }
}

#[test]
fn the_whole_one_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::fs::write(&path, whole().to_string()).unwrap();
    let snapshot = Snapshot::read(Some(&path), Some("it"), &|_| None).unwrap();
    crate::cluster::install_tls();
    Connection::of(&snapshot).map(drop).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_field_of_any_type_is_read_or_refused(changes in proptest::collection::vec((any::<u64>(), any_json()), 1..4)) {
        read(changed(whole(), &changes).to_string().as_bytes());
    }

    #[test]
    fn any_bytes_in_it_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..12),
        at in any::<proptest::sample::Index>(),
        over in 0_usize..30,
        wide in any::<bool>(),
    ) {
        let mut text = whole().to_string().into_bytes();
        let at = at.index(text.len());
        let end = (at + over).min(text.len());
        text.splice(at..end, bytes);
        if wide {
            text = [&[0xff, 0xfe][..], &text].concat();
        }
        read(&text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:\\-\\[\\]{} \n\"'&*!|>0-9.~]{0,120}") {
        read(text.as_bytes());
    }
}
