//! Where a registry wants passwords to be sent: with TLS, or to this machine, or not at all.

use std::time::Duration;

use oci_client::Reference as Remote;
use reqwest::Url;
use reqwest::header::WWW_AUTHENTICATE;

use super::Place;
use super::place::is_loopback;
use crate::error::{ErrorKind, ImageError};

const LIMIT: Duration = Duration::from_secs(15);

/// Asks the registry, without a password, where it takes one.
///
/// # Errors
/// It names an address without TLS on another machine. That the registry can't be asked is no error of this.
pub(super) async fn check(place: &Place, image: &Remote) -> Result<(), ImageError> {
    let mut http = reqwest::Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none());
    if place.is_here() {
        http = http.no_proxy();
    }
    let http = http.build().map_err(ImageError::internal)?;
    let scheme = if place.is_plain { "http" } else { "https" };
    let Ok(answer) = http.get(format!("{scheme}://{}/v2/", image.resolve_registry())).send().await else {
        return Ok(());
    };
    let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    match challenges.filter_map(realm).find(|realm| !is_safe(realm)) {
        None => Ok(()),
        Some(realm) => Err(ImageError::new(
            "plain-http",
            ErrorKind::Environment,
            format!("the registry {} wants the password sent to another machine without TLS", place.registry),
        )
        .evidence(format!("its realm is {}://{}", realm.scheme(), realm.host_str().unwrap_or_default()))
        .fix("have the registry name an https:// address as its realm")),
    }
}

/// The address in `Bearer realm="…",service="…"`; none if there is none, as for `Basic`, whose realm is a name.
fn realm(challenge: &str) -> Option<Url> {
    let at = challenge.to_ascii_lowercase().find("realm=")?;
    let value = &challenge[at + "realm=".len()..];
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => value.split([',', ' ']).next()?,
    };
    Url::parse(value).ok().filter(Url::has_host)
}

fn is_safe(realm: &Url) -> bool {
    realm.scheme() == "https" || realm.host_str().is_some_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_nowhere_without_tls_but_to_this_machine() {
        for (challenge, is_sent) in [
            (r#"Bearer realm="https://auth.example.org/token",service="x""#, true),
            (r#"Bearer realm="http://auth.example.org/token",service="x""#, false),
            (r#"bearer service="x", Realm="http://10.0.0.7/token""#, false),
            (r#"Bearer realm=http://auth.example.org/token,service=x"#, false),
            (r#"Bearer realm="http://127.0.0.1:5001/token""#, true),
            (r#"Bearer realm="http://[::1]:5001/token""#, true),
            (r#"Bearer realm="http://127.0.0.1.example.org/token""#, false),
            (r#"Basic realm="Registry Realm""#, true),
            ("Basic", true),
        ] {
            assert_eq!(realm(challenge).is_none_or(|realm| is_safe(&realm)), is_sent, "{challenge}");
        }
    }
}
