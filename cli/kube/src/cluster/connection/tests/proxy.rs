//! Clusters behind proxies.

use std::sync::Arc;

use super::Place;
use super::servers::{Anybody, Secure, Through};
use crate::cluster::{ClusterError, Locality};

/// A name that only the proxy knows.
fn far(server: &Secure) -> String {
    format!("https://cluster.example.test:{}", server.address.port())
}

fn at(server: &Secure, url: &str, more: &str) -> Place {
    let place = Place::new();
    place.write(&format!("{{server: '{url}', certificate-authority-data: {}{more}}}", server.authority), "{}");
    place
}

#[tokio::test]
async fn the_proxies_of_a_kubeconfig_are_used_for_this_machine_as_well() {
    let server = Secure::start().await;
    let http = Through::http(server.address, Some("Basic dTpwIHc=")).await;
    let https = Through::https(server.address, &server, Some("Basic dTpwIHc=")).await;
    let socks = Through::socks(server.address, Some(("u", "p w"))).await;
    let place_of = |scheme: &str, proxy: &Through, url: &str| {
        at(&server, url, &format!(", proxy-url: '{scheme}://u:p%20w@{}'", proxy.address))
    };
    for (scheme, proxy) in [("http", &http), ("https", &https), ("socks5", &socks), ("socks5h", &socks)] {
        for url in [server.url.clone(), far(&server)] {
            let before = proxy.asked().len();
            let cluster = place_of(scheme, proxy, &url).connect_in(&[("NO_PROXY", "*")]).await.unwrap();
            assert!(cluster.identity().uid.is_some());
            // What is at the other end of a proxy is not this machine.
            assert_eq!(cluster.locality(), Locality::Remote, "{url}");
            let asked = proxy.asked();
            assert_eq!(asked[before..], [url.trim_start_matches("https://").to_owned()], "{scheme}");
        }
    }
}

#[tokio::test]
async fn the_environments_proxy_is_used_for_what_is_far_and_not_exempt() {
    let server = Secure::start().await;
    let proxy = Through::http(server.address, None).await;
    let url = format!("http://{}", proxy.address);
    at(&server, &far(&server), "").connect_in(&[("HTTPS_PROXY", &url)]).await.unwrap();
    assert_eq!(proxy.asked().len(), 1);
    let socks = Through::socks(server.address, None).await;
    let through = format!("socks5://{}", socks.address);
    at(&server, &far(&server), "").connect_in(&[("https_proxy", &through)]).await.unwrap();
    assert_eq!(socks.asked().len(), 1);
    // This machine is reached straight, whatever the environment says.
    for variables in [
        vec![("HTTPS_PROXY", "http://127.0.0.1:1")],
        vec![("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "127.0.0.1")],
    ] {
        let cluster = at(&server, &server.url, "").connect_in(&variables).await.unwrap();
        assert_eq!(cluster.locality(), Locality::Local);
    }
    assert_eq!((proxy.asked().len(), socks.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let server = Secure::start().await;
    let proxy = Through::http(server.address, Some("Basic other")).await;
    let place = at(&server, &server.url, &format!(", proxy-url: 'http://u:hunter2@{}'", proxy.address));
    let error = place.error().await;
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("through the proxy http://{}", proxy.address)), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    for wrong in ["ftp://hunter2:1", "nonsense hunter2"] {
        let error = at(&server, &server.url, &format!(", proxy-url: '{wrong}'")).error().await;
        assert!(matches!(error, ClusterError::Unusable { .. }) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_with_tls_is_told_nothing_before_it_has_shown_who_it_is() {
    let server = Secure::start().await;
    // Of another authority than the cluster's, by another name than its own, and none with TLS at all.
    let stranger = Secure::start().await;
    let other = Secure::with(&["elsewhere.example.test"], |_| Arc::new(Anybody)).await;
    let strange = Through::https(server.address, &stranger, None).await;
    let misnamed = Through::https(server.address, &other, None).await;
    let plain = Through::http(server.address, None).await;
    for (proxy, authority) in
        [(&strange, &server.authority), (&misnamed, &other.authority), (&plain, &server.authority)]
    {
        let place = Place::new();
        place.write(
            &format!(
                "{{server: '{}', certificate-authority-data: {authority}, proxy-url: 'https://u:hunter2@{}'}}",
                far(&server),
                proxy.address
            ),
            "{}",
        );
        let mut options = place.options();
        // One without TLS waits for what it understands.
        options.timeout = Some(std::time::Duration::from_secs(2));
        let error = crate::cluster::Cluster::connect(&options).await.map(drop).unwrap_err();
        let is_named = error.to_string().contains(&format!("through the proxy https://{}", proxy.address));
        assert!(is_named || matches!(error, ClusterError::Timeout { .. }), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!(proxy.asked(), [""; 0]);
    }
    assert!(server.had().is_empty());
}

#[tokio::test]
async fn a_proxy_that_says_nothing_has_a_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place::new();
    place.write(
        &format!("{{server: 'https://far.example', proxy-url: 'http://{}'}}", listener.local_addr().unwrap()),
        "{}",
    );
    let mut options = place.options();
    options.timeout = Some(std::time::Duration::from_millis(300));
    let error = crate::cluster::Cluster::connect(&options).await.map(drop).unwrap_err();
    assert!(matches!(error, ClusterError::Timeout { .. }), "{error}");
}
