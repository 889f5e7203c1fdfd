//! A certificate for the ingress, by a CA of this user's own: made once, kept in the state directory, to be trusted once.

use std::io;
use std::path::{Path, PathBuf};

use card_core::files;
use card_kube::cluster::Cluster;
use card_kube::inventory::Release;
use card_kube::secret::{self, Ensured, Values};
use card_manifests::TLS_SECRET;
use jiff::ToSpan;
use jiff::civil::Date;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::secrets::refused;
use super::trouble;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// For which host it was made.
const HOST: &str = "host";
const CA: &str = "ca.crt";
/// The day on which it ends, so that nobody has to read the certificate.
const EXPIRES: &str = "expires";
const TLS_TYPE: &str = "kubernetes.io/tls";
/// The most that browsers take (CA/Browser Forum, ballot SC31; Apple's limit since 2020).
const DAYS: i64 = 398;
/// The next `up` renews one that ends within so many days.
const RENEWED_BEFORE: i64 = 60;

/// Sees to it that the ingress has a certificate for this host. One that somebody else put there stays. Answers where the
/// CA's certificate is, if it was made by ours.
///
/// # Errors
/// The state directory can't be written, or the cluster does not let us.
pub async fn ensure_certificate(
    cluster: &Cluster,
    release: &Release,
    host: &str,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let there = secret::read(cluster, TLS_SECRET).await.map_err(|error| trouble::cluster(&error))?;
    if there.as_ref().is_some_and(|values| !values.0.contains_key(HOST)) {
        return Ok(None);
    }
    let path = context.instance.dir.join("ca.crt");
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let of_type = secret::type_of(cluster, TLS_SECRET).await.map_err(|error| trouble::cluster(&error))?;
    let is_right = of_type.as_deref() == Some(TLS_TYPE);
    if is_right && there.is_some_and(|values| is_good(&values, host, today)) {
        return Ok(path.exists().then_some(path));
    }
    context.instance.create().map_err(|error| unwritable(&context.instance.dir, &error))?;
    let made = make(&context.instance.dir, host, today)?;
    if of_type.is_some() && !is_right {
        // Of an older version. A type can't be changed; the ingress does without for as long as this takes.
        secret::remove(cluster, TLS_SECRET).await.map_err(|error| refused(&error))?;
    }
    let keys = [CERTIFICATE, KEY, HOST, CA, EXPIRES];
    let ensured = secret::ensure_of_type(cluster, release, TLS_SECRET, TLS_TYPE, &keys, |_, _| made.clone()).await;
    if ensured.map_err(|error| refused(&error))? != Ensured::Created {
        // For another host than before, or for longer.
        secret::replace(cluster, TLS_SECRET, &made).await.map_err(|error| refused(&error))?;
    }
    Ok(Some(path))
}

/// Whether it is for this host, and good for long enough that nobody has to think of it before the next `up`.
fn is_good(values: &Values, host: &str, today: Date) -> bool {
    let text = |key: &str| values.0.get(key).and_then(|value| std::str::from_utf8(value).ok());
    let expires = text(EXPIRES).and_then(|text| text.parse::<Date>().ok());
    let renewed_from = today.checked_add(RENEWED_BEFORE.days()).unwrap_or(today);
    text(HOST) == Some(host) && expires.is_some_and(|expires| expires > renewed_from)
}

fn make(dir: &Path, host: &str, today: Date) -> Result<Values, Failure> {
    let unmade = |error: rcgen::Error| Failure::internal(format!("the certificate can't be created: {error}"));
    let ca_key = ca_key(&dir.join("ca.key"))?;
    let ca = authority().self_signed(&ca_key).map_err(unmade)?.pem();
    files::replace(&dir.join("ca.crt"), ca.as_bytes()).map_err(|error| unwritable(dir, &error))?;
    let issuer = Issuer::new(authority(), ca_key);
    let mut wanted = CertificateParams::new(vec![host.to_owned()]).map_err(|error| {
        Failure::new("usage", Exit::Usage, format!("{host:?} is not a host name: {error}"))
            .fix("--ingress cards.example.com")
    })?;
    wanted.distinguished_name = named(host);
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    wanted.use_authority_key_identifier_extension = true;
    // From yesterday: not every clock is right.
    let first = today.yesterday().unwrap_or(today);
    let expires = first.checked_add(DAYS.days()).map_err(Failure::internal)?;
    // Days and months are small and positive.
    let midnight =
        |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    (wanted.not_before, wanted.not_after) = (midnight(first), midnight(expires));
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = wanted.signed_by(&key, &issuer).map_err(unmade)?;
    let value = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    Ok(Values(
        [
            value(CERTIFICATE, certificate.pem()),
            value(KEY, key.serialize_pem()),
            value(HOST, host.to_owned()),
            value(CA, ca),
            value(EXPIRES, expires.to_string()),
        ]
        .into(),
    ))
}

/// Always the same, so that what it signs fits the certificate that was trusted.
fn authority() -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = named("cardctl local CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.not_before = date_time_ymd(2026, 1, 1);
    authority.not_after = date_time_ymd(2046, 1, 1);
    authority
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// The CA's key: made once, for its owner only.
fn ca_key(path: &Path) -> Result<KeyPair, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::new("ca", Exit::NotReady, format!("the key of the local CA can't be used: {error}"))
            .evidence(path.display())
            .fix(format!("rm {}; the next up creates another CA, which clients then have to trust", path.display()))
    };
    match files::read_secret(path) {
        Ok(text) => KeyPair::from_pem(&text).map_err(|error| unusable(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(|error| unusable(&error))?;
            files::replace(path, key.serialize_pem().as_bytes()).map_err(|error| unwritable(path, &error))?;
            Ok(key)
        }
        Err(error) => Err(unusable(&error)),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new("state-directory", Exit::NotReady, format!("{} can't be written: {error}", path.display()))
        .fix("run this as the owner of the state directory")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DAY: Date = jiff::civil::date(2026, 11, 30);

    #[test]
    fn a_second_certificate_is_by_the_same_ca() {
        let dir = tempfile::tempdir().unwrap();
        let one = make(dir.path(), "cards.example.com", DAY).unwrap();
        let other = make(dir.path(), "other.example.com", DAY).unwrap();
        assert_ne!(one.0[CERTIFICATE], other.0[CERTIFICATE]);
        assert_eq!(one.0[HOST], b"cards.example.com");
        let mode = std::fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let key = std::fs::read_to_string(dir.path().join("ca.key")).unwrap();
        make(dir.path(), "third.example.com", DAY).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("ca.key")).unwrap(), key);
    }

    #[test]
    fn what_the_ca_signed_is_believed_by_who_trusts_it_and_for_that_host_alone() {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
        let dir = tempfile::tempdir().unwrap();
        let made = make(dir.path(), "cards.example.com", DAY).unwrap();
        let ca = CertificateDer::from_pem_slice(&std::fs::read(dir.path().join("ca.crt")).unwrap()).unwrap();
        let leaf = CertificateDer::from_pem_slice(&made.0[CERTIFICATE]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let believes = |host: &str| {
            use rustls::client::danger::ServerCertVerifier;
            let name = ServerName::try_from(host.to_owned()).unwrap();
            let noon = DAY.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
            let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(noon.unsigned_abs()));
            verifier.verify_server_cert(&leaf, &[], &name, &[], then).is_ok()
        };
        assert!(believes("cards.example.com"));
        assert!(!believes("evil.example.com"));
    }

    #[test]
    fn a_key_that_is_none_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.key"), "garbage").unwrap();
        let failure = make(dir.path(), "cards.example.com", DAY).map(drop).unwrap_err();
        assert!(failure.fix.unwrap().starts_with("rm "));
    }

    /// As strict clients look at it: `openssl x509` reads what was made.
    #[test]
    fn a_certificate_lasts_398_days_names_its_issuer_by_key_and_is_renewed_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let made = make(dir.path(), "cards.example.com", DAY).unwrap();
        let path = dir.path().join("leaf.pem");
        std::fs::write(&path, &made.0[CERTIFICATE]).unwrap();
        let shown = std::process::Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&path).output();
        let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
        assert!(shown.contains("Authority Key Identifier"), "{shown}");
        assert!(shown.contains("Nov 29 00:00:00 2026") && shown.contains("Jan  1 00:00:00 2028"), "{shown}");
        let strict = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-attime", "1796040000", "-CAfile"])
            .arg(dir.path().join("ca.crt"))
            .arg(&path)
            .output()
            .unwrap();
        assert!(strict.status.success(), "{}", String::from_utf8_lossy(&strict.stderr));
        let good = |host: &str, days: i64| is_good(&made, host, DAY.checked_add(days.days()).unwrap());
        assert!(good("cards.example.com", 0) && good("cards.example.com", 330));
        assert!(!good("cards.example.com", 340) && !good("cards.example.com", 500) && !good("other.example.com", 0));
    }
}
