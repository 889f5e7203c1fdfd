//! The key and the token that `up` makes up itself: made once, kept for their owner only, never shown.

use std::io;
use std::path::Path;

use card_core::files::{self, Distrust};
use card_server::Secrets;

use super::Paths;
use crate::failure::Failure;
use crate::secret::hex;
use card_core::exit::Exit;

/// Reads the secrets of a data directory; makes those that there are not.
pub(super) fn load_or_make(data: &Path) -> Result<Secrets, Failure> {
    let signing_key = load_or(&Paths::signing_key(data), || hex(64))?;
    let operator_token = load_or(&Paths::operator_token(data), || format!("op_{}", hex(32)))?;
    let secrets = Secrets { signing_key: signing_key.into_bytes(), operator_token };
    secrets.check().map_err(|error| {
        Failure::new("secrets", Exit::NotReady, error.to_string())
            .evidence(format!("{} or {}", Paths::signing_key(data).display(), Paths::operator_token(data).display()))
            .fix("remove that file; the next `cardctl up` creates a new one")
    })?;
    Ok(secrets)
}

fn load_or(path: &Path, make: impl FnOnce() -> String) -> Result<String, Failure> {
    read(path)
        .or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => create(path, &make()).and_then(|()| read(path)),
            _ => Err(error),
        })
        .map_err(|error| {
            let helps = Distrust::of(&error).map_or_else(|| "let it be yours".to_owned(), |why| why.fix.clone());
            Failure::new("secrets", Exit::NotReady, format!("{} can't be used", path.display()))
                .evidence(&error)
                .fix(format!("{helps}; or remove it, and the next `cardctl up` creates a new one"))
        })
}

fn read(path: &Path) -> io::Result<String> {
    Ok(files::read_secret(path)?.trim().to_owned())
}

/// In one piece: a crash half-way must not leave half a key. Only who holds the instance's lock gets here.
fn create(path: &Path, secret: &str) -> io::Result<()> {
    files::replace(path, secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn secrets_are_made_once_and_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(dir.path()).unwrap();
        let second = load_or_make(dir.path()).unwrap();
        assert_eq!(first.operator_token, second.operator_token);
        assert_eq!(first.signing_key, second.signing_key);
        assert_eq!(std::fs::metadata(Paths::operator_token(dir.path())).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_make(dir.path()).unwrap();
        let path = Paths::signing_key(dir.path());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_make(dir.path()).map(|_| ()).unwrap_err().exit, Exit::NotReady);
    }
}
