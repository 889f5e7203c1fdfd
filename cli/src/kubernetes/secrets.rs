//! The secrets of a platform in a cluster: made once, kept there, never shown, never in an argument.

use card_kube::cluster::Cluster;
use card_kube::inventory::Release;
use card_kube::secret::{self, Ensured, SecretError, Values};
use card_manifests::{BUNDLED_REDIS_URL, SECRET, bundled_database_url};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::Api;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::trouble;
use crate::failure::Failure;
use crate::secret::{Secret, hex};
use card_core::exit::Exit;

/// Where the pods are to find a store. It has no `Debug`: an address may hold a password.
#[derive(Clone, Default)]
pub enum Address {
    /// Nothing was said: as the secret has it, or in the cluster.
    #[default]
    Unsaid,
    /// In the cluster, whatever the secret has.
    Bundled,
    /// Outside of it, as an earlier command said: only the secret knows where.
    AsBefore,
    /// Outside of it.
    Given(Secret),
}

impl Address {
    const fn is_outside(&self) -> bool {
        matches!(self, Self::AsBefore | Self::Given(_))
    }
}

/// Where Postgres and Redis are.
#[derive(Clone, Default)]
pub struct Addresses {
    /// Of Postgres.
    pub database: Address,
    /// Of Redis.
    pub redis: Address,
}

impl Addresses {
    fn of(&self, key: &str) -> Option<&Address> {
        match key {
            DATABASE => Some(&self.database),
            REDIS => Some(&self.redis),
            _ => None,
        }
    }
}

const SIGNING_KEY: &str = "signing-key";
const OPERATOR_TOKEN: &str = "operator-token";
const PASSWORD: &str = "postgres-password";
const DATABASE: &str = "database-url";
const REDIS: &str = "redis-url";
/// Of the volume that the bundled Postgres keeps its data in.
const BUNDLED_CLAIM: &str = "data-postgres-0";
/// On the pods: a hash of what they were started with.
const MARK: &str = "cardctl/secrets";

/// Sees to it that the pods find their secrets. What is there stays as it is, but for an address that is said to be another
/// one by now.
///
/// # Errors
/// There is a secret of somebody else by that name; the cluster does not let us; or what only the secret knew went with it:
/// an address outside, or the password of a volume that is still there.
pub async fn ensure_secrets(cluster: &Cluster, release: &Release, addresses: &Addresses) -> Result<Ensured, Failure> {
    let there = secret::read(cluster, SECRET).await.map_err(|error| trouble::cluster(&error))?.unwrap_or_default();
    for (key, what, variable) in [(DATABASE, "Postgres", "CARDCTL_DATABASE"), (REDIS, "Redis", "CARDCTL_REDIS")] {
        if matches!(addresses.of(key), Some(Address::AsBefore)) && !there.0.contains_key(key) {
            let message = format!("{what} is outside the cluster, and the secret {SECRET} with its address is missing");
            return Err(Failure::new("address-lost", Exit::NotReady, message)
                .fix(format!("run cardctl up with its address in {variable}; or use --{} bundled", what_flag(key)))
                .left("nothing was changed"));
        }
    }
    let mut keys = vec![SIGNING_KEY, OPERATOR_TOKEN, DATABASE, REDIS];
    if !addresses.database.is_outside() {
        keys.push(PASSWORD);
        if !there.0.contains_key(PASSWORD) && !there.0.contains_key(DATABASE) {
            refuse_orphaned_volume(cluster).await?;
        }
    }
    let made = secret::ensure(cluster, release, SECRET, &keys, |missing, there| make(missing, there, addresses)).await;
    let made = made.map_err(|error| refused(&error))?;
    let now = secret::read(cluster, SECRET).await.map_err(|error| trouble::cluster(&error))?.unwrap_or_default();
    for key in [DATABASE, REDIS] {
        let wanted = match addresses.of(key) {
            Some(Address::Given(address)) => address.expose().as_bytes().to_vec(),
            Some(Address::Bundled) => make(&[key], &now, addresses).0.remove(key).unwrap_or_default(),
            _ => continue,
        };
        if now.0.get(key).is_none_or(|stored| *stored != wanted) {
            let changed = Values([(key.to_owned(), wanted)].into());
            secret::replace(cluster, SECRET, &changed).await.map_err(|error| refused(&error))?;
        }
    }
    Ok(made)
}

fn what_flag(key: &str) -> &'static str {
    if key == DATABASE { "database" } else { "redis" }
}

/// A volume keeps the password that Postgres was made with; a new one would only lock everybody out.
async fn refuse_orphaned_volume(cluster: &Cluster) -> Result<(), Failure> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    // Whoever may not look at claims is told by the pods what is wrong.
    let Ok(Some(_)) = claims.get_opt(BUNDLED_CLAIM).await else { return Ok(()) };
    let namespace = cluster.namespace();
    let message = format!("the Postgres volume exists, but the secret {SECRET} with its password is missing");
    Err(Failure::new("secret-lost", Exit::NotReady, message)
        .evidence(format!("persistentvolumeclaim/{BUNDLED_CLAIM} in the namespace {namespace}"))
        .fix(format!(
            "put the password into a file {PASSWORD}, and then: kubectl -n {namespace} create secret generic {SECRET} \
             --from-file={PASSWORD} && {}; without it and the data: cardctl down --purge, then up",
            secret::adoption(cluster, SECRET)
        ))
        .left("nothing was changed"))
}

/// Has the pods that mount the secret start anew when what it holds is another: they read it once.
///
/// The mark is a hash that includes the signing key, so that nobody guesses an address or a password by it.
///
/// # Errors
/// The cluster does not say what the secret holds.
pub async fn stamp(objects: &mut [Value], cluster: &Cluster) -> Result<(), Failure> {
    let values = secret::read(cluster, SECRET).await.map_err(|error| trouble::cluster(&error))?.unwrap_or_default();
    let mut hash = Sha256::new();
    for (key, value) in &values.0 {
        for part in [key.as_bytes(), value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    let mark: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    for object in objects.iter_mut().filter(|object| mounts_the_secret(object)) {
        object["spec"]["template"]["metadata"]["annotations"][MARK] = Value::String(mark.clone());
    }
    Ok(())
}

/// Whether what runs these pods gives them the secret.
#[must_use]
pub fn mounts_the_secret(object: &Value) -> bool {
    let volumes = object["spec"]["template"]["spec"]["volumes"].as_array();
    volumes.is_some_and(|volumes| volumes.iter().any(|volume| volume["secret"]["secretName"] == SECRET))
}

fn make(missing: &[&str], there: &Values, addresses: &Addresses) -> Values {
    // The URL and the password that Postgres is made with are the same one.
    let stored = there.0.get(PASSWORD).and_then(|password| String::from_utf8(password.clone()).ok());
    // Postgres' image reads it without the end of the line that a person's file has.
    let stored = stored.map(|password| password.trim_end_matches(['\r', '\n']).to_owned());
    let password = stored.unwrap_or_else(|| hex(24));
    let value = |key: &str| match (key, addresses.of(key)) {
        (_, Some(Address::Given(given))) => given.expose().to_owned(),
        (SIGNING_KEY, _) => hex(64),
        (OPERATOR_TOKEN, _) => format!("op_{}", hex(32)),
        (DATABASE, _) => bundled_database_url(&password),
        (REDIS, _) => BUNDLED_REDIS_URL.to_owned(),
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
        let all = make(&keys, &Values::default(), &Addresses::default());
        assert!(text(&all, DATABASE).contains(&text(&all, PASSWORD)));
        let there = Values([(PASSWORD.to_owned(), b"before".to_vec())].into());
        let some = make(&[DATABASE], &there, &Addresses::default());
        assert!(text(&some, DATABASE).contains(":before@"));
        assert_eq!(some.0.len(), 1);
    }

    #[test]
    fn no_two_are_alike() {
        let one = make(&[SIGNING_KEY, OPERATOR_TOKEN], &Values::default(), &Addresses::default());
        let other = make(&[SIGNING_KEY, OPERATOR_TOKEN], &Values::default(), &Addresses::default());
        assert_ne!(text(&one, SIGNING_KEY), text(&other, SIGNING_KEY));
        assert_ne!(text(&one, OPERATOR_TOKEN), text(&other, OPERATOR_TOKEN));
        assert!(text(&one, SIGNING_KEY).len() >= 64);
    }

    #[test]
    fn an_address_that_was_given_is_taken_as_it_is() {
        let given = Address::Given(Secret::new("postgres://u:p@db/cards"));
        let addresses = Addresses { database: given, ..Addresses::default() };
        let made = make(&[DATABASE, REDIS], &Values::default(), &addresses);
        assert_eq!(text(&made, DATABASE), "postgres://u:p@db/cards");
        assert_eq!(text(&made, REDIS), BUNDLED_REDIS_URL);
    }
}
