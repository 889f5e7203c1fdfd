//! The secrets of a platform in a cluster: made once, kept there, never shown, never in an argument.

use card_kube::cluster::Cluster;
use card_kube::inventory::Release;
use card_kube::secret::{self, Ensured, SecretError, Values};
use card_manifests::{BUNDLED_REDIS_URL, SECRET, bundled_database_url};

use super::trouble;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::secret::{Secret, hex};

/// Addresses of a Postgres and a Redis that are elsewhere; they may hold passwords.
#[derive(Clone, Default)]
pub struct External {
    /// None: in the cluster.
    pub database: Option<Secret>,
    /// None: in the cluster.
    pub redis: Option<Secret>,
}

const SIGNING_KEY: &str = "signing-key";
const OPERATOR_TOKEN: &str = "operator-token";
const PASSWORD: &str = "postgres-password";
const DATABASE: &str = "database-url";
const REDIS: &str = "redis-url";

/// Sees to it that the pods find their secrets. What is there stays as it is, but for an address that was given and is
/// another one by now.
///
/// # Errors
/// There is a secret of somebody else by that name, or the cluster does not let us.
pub async fn ensure_secrets(cluster: &Cluster, release: &Release, external: &External) -> Result<Ensured, Failure> {
    let mut keys = vec![SIGNING_KEY, OPERATOR_TOKEN, DATABASE, REDIS];
    if external.database.is_none() {
        keys.push(PASSWORD);
    }
    let given = |key: &str| match key {
        DATABASE => external.database.as_ref(),
        REDIS => external.redis.as_ref(),
        _ => None,
    };
    let made = secret::ensure(cluster, release, SECRET, &keys, |missing, there| make(missing, there, given)).await;
    let made = made.map_err(|error| refused(&error))?;
    let now = secret::read(cluster, SECRET).await.map_err(|error| trouble::cluster(&error))?.unwrap_or_default();
    for key in [DATABASE, REDIS] {
        let Some(given) = given(key) else { continue };
        if now.0.get(key).is_none_or(|stored| stored != given.expose().as_bytes()) {
            let changed = Values([(key.to_owned(), given.expose().as_bytes().to_vec())].into());
            secret::replace(cluster, SECRET, &changed).await.map_err(|error| refused(&error))?;
        }
    }
    Ok(made)
}

fn make<'a>(missing: &[&str], there: &Values, given: impl Fn(&str) -> Option<&'a Secret>) -> Values {
    // The URL and the password that Postgres is made with are the same one.
    let stored = there.0.get(PASSWORD).and_then(|password| String::from_utf8(password.clone()).ok());
    let password = stored.unwrap_or_else(|| hex(24));
    let value = |key: &str| match (key, given(key)) {
        (_, Some(given)) => given.expose().to_owned(),
        (SIGNING_KEY, None) => hex(64),
        (OPERATOR_TOKEN, None) => format!("op_{}", hex(32)),
        (DATABASE, None) => bundled_database_url(&password),
        (REDIS, None) => BUNDLED_REDIS_URL.to_owned(),
        _ => password.clone(),
    };
    Values(missing.iter().map(|key| ((*key).to_owned(), value(key).into_bytes())).collect())
}

/// What the operator calls need.
///
/// # Errors
/// Nothing is deployed there, or it can't be read.
pub async fn operator_token(cluster: &Cluster) -> Result<Option<Secret>, Failure> {
    let values = secret::read(cluster, SECRET).await.map_err(|error| trouble::cluster(&error))?;
    let token = values.and_then(|values| values.0.get(OPERATOR_TOKEN).cloned());
    Ok(token.and_then(|token| String::from_utf8(token).ok()).map(|token| Secret::new(token.trim())))
}

pub(super) fn refused(error: &SecretError) -> Failure {
    if let SecretError::Cluster(error) = error {
        return trouble::cluster(error);
    }
    let failure = Failure::new("secrets", Exit::NotReady, error.to_string());
    error.fix().into_iter().fold(failure, Failure::fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(values: &Values, key: &str) -> String {
        String::from_utf8(values.0[key].clone()).unwrap()
    }

    #[test]
    fn the_url_has_the_password_that_postgres_is_made_with() {
        let keys = [SIGNING_KEY, OPERATOR_TOKEN, DATABASE, REDIS, PASSWORD];
        let all = make(&keys, &Values::default(), |_| None);
        assert!(text(&all, DATABASE).contains(&text(&all, PASSWORD)));
        let there = Values([(PASSWORD.to_owned(), b"before".to_vec())].into());
        let some = make(&[DATABASE], &there, |_| None);
        assert!(text(&some, DATABASE).contains(":before@"));
        assert_eq!(some.0.len(), 1);
    }

    #[test]
    fn no_two_are_alike() {
        let one = make(&[SIGNING_KEY, OPERATOR_TOKEN], &Values::default(), |_| None);
        let other = make(&[SIGNING_KEY, OPERATOR_TOKEN], &Values::default(), |_| None);
        assert_ne!(text(&one, SIGNING_KEY), text(&other, SIGNING_KEY));
        assert_ne!(text(&one, OPERATOR_TOKEN), text(&other, OPERATOR_TOKEN));
        assert!(text(&one, SIGNING_KEY).len() >= 64);
    }

    #[test]
    fn an_address_that_was_given_is_taken_as_it_is() {
        let given = Secret::new("postgres://u:p@db/cards");
        let made = make(&[DATABASE, REDIS], &Values::default(), |key| (key == DATABASE).then_some(&given));
        assert_eq!(text(&made, DATABASE), "postgres://u:p@db/cards");
        assert_eq!(text(&made, REDIS), BUNDLED_REDIS_URL);
    }
}
