//! What a process is given by its environment: secrets and addresses, in a variable or, better, in a file that a
//! variable names. None of it is ever shown, in an error neither.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::cluster::Address;
use crate::files;

/// What is missing or can't be read. Names variables and files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// Neither the variable nor the file.
    #[error("{name} is not set; set {name}_FILE to a file that holds it, or {name} itself")]
    Missing {
        /// The variable.
        name: String,
    },
    /// The file that a variable names.
    #[error("{name}: {}", why(path, source))]
    Unreadable {
        /// The variable that names it.
        name: String,
        /// The file.
        path: PathBuf,
        source: std::io::Error,
    },
    /// Bytes that are no text.
    #[error("{name} is not valid UTF-8; set it again")]
    NotText {
        /// The variable.
        name: String,
    },
    /// The file that a variable names holds nothing.
    #[error("the file that {name} names is empty")]
    Empty {
        /// The variable.
        name: String,
    },
    /// One half of a pair.
    #[error("{given} is set, but {missing} is not; both are needed: set {missing}_FILE or {missing}")]
    Half {
        /// Which one there is.
        given: &'static str,
        /// Which one there is not.
        missing: &'static str,
    },
}

/// Where Postgres is.
const DATABASE: &str = "CARDCTL_DATABASE";
/// Where Redis is.
const REDIS: &str = "CARDCTL_REDIS";
/// What this process is called in logs.
const COMPONENT: &str = "CARDCTL_COMPONENT";

/// Variables by name.
pub struct Environment<Variables = fn(&str) -> Option<OsString>>(Variables);

impl Environment {
    /// That of this process.
    #[must_use]
    pub const fn of_process() -> Self {
        Self(|name| std::env::var_os(name))
    }
}

impl<Variables: Fn(&str) -> Option<OsString>> Environment<Variables> {
    /// From the file that `NAME_FILE` names, else from `NAME`; none if neither is set to anything. The end of the file's last line
    /// does not belong to it.
    ///
    /// # Errors
    /// It is there and can't be used.
    pub fn value(&self, name: &str) -> Result<Option<String>, EnvironmentError> {
        let file = format!("{name}_FILE");
        // Set to nothing is not set: CI and compose files do that for what was not given.
        let set = |name: &str| (self.0)(name).filter(|value| !value.is_empty());
        let (name, value) = match set(&file) {
            Some(path) => {
                let path = PathBuf::from(path);
                match files::read_named_secret(&path) {
                    Ok(text) => (file, text.trim_end_matches(['\r', '\n']).to_owned()),
                    Err(source) => return Err(EnvironmentError::Unreadable { name: file, path, source }),
                }
            }
            None => match set(name).map(OsString::into_string) {
                Some(Ok(text)) => (name.to_owned(), text),
                Some(Err(_)) => return Err(EnvironmentError::NotText { name: name.to_owned() }),
                None => return Ok(None),
            },
        };
        if value.is_empty() { Err(EnvironmentError::Empty { name }) } else { Ok(Some(value)) }
    }

    /// As [`Environment::value`], of what must be there.
    ///
    /// # Errors
    /// It is not there, or can't be used.
    pub fn required(&self, name: &str) -> Result<String, EnvironmentError> {
        self.value(name)?.ok_or_else(|| EnvironmentError::Missing { name: name.to_owned() })
    }

    /// The cluster's addresses: `CARDCTL_DATABASE` and `CARDCTL_REDIS`, or files. None if there is neither.
    ///
    /// # Errors
    /// There is only one of them, or one can't be used.
    pub fn cluster(&self) -> Result<Option<Address>, EnvironmentError> {
        match (self.value(DATABASE)?, self.value(REDIS)?) {
            (Some(database), Some(redis)) => Ok(Some(Address { database, redis })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(EnvironmentError::Half { given: DATABASE, missing: REDIS }),
            (None, Some(_)) => Err(EnvironmentError::Half { given: REDIS, missing: DATABASE }),
        }
    }

    /// The ledger's address alone, for who only migrates it.
    ///
    /// # Errors
    /// It is not there, or can't be used.
    pub fn database(&self) -> Result<String, EnvironmentError> {
        self.required(DATABASE)
    }

    /// What this process is called in its logs: `CARDCTL_COMPONENT`, such as `worker-2`.
    #[must_use]
    pub fn component(&self) -> Option<String> {
        (self.0)(COMPONENT).filter(|name| !name.is_empty()).map(|name| lossy(&name))
    }

    /// This machine's name, for `GET /stats`: in a container that of the container.
    #[must_use]
    pub fn host(&self) -> String {
        (self.0)("HOSTNAME").filter(|name| !name.is_empty()).map(|name| lossy(&name)).unwrap_or_else(|| {
            std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
        })
    }
}

fn why(path: &Path, error: &io::Error) -> String {
    match files::Distrust::of(error) {
        Some(distrust) => format!("{distrust}; {}", distrust.fix),
        None => format!("{}: {error}", path.display()),
    }
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment<impl Fn(&str) -> Option<OsString>> {
        Environment(|name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    fn error<T: std::fmt::Debug>(result: Result<T, EnvironmentError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_file_wins_over_a_variable_and_loses_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        files::replace(&path, b"from the file \r\n").unwrap();
        let given = [("TOKEN", "from the variable"), ("TOKEN_FILE", path.to_str().unwrap())];
        assert_eq!(environment(&given).value("TOKEN").unwrap().as_deref(), Some("from the file "));
        assert_eq!(environment(&given[..1]).value("TOKEN").unwrap().as_deref(), Some("from the variable"));
        assert_eq!(environment(&[]).value("TOKEN").unwrap(), None);
    }

    #[test]
    fn what_can_not_be_used_is_named_and_not_shown() {
        assert_eq!(
            error(environment(&[]).required("TOKEN")),
            "TOKEN is not set; set TOKEN_FILE to a file that holds it, or TOKEN itself"
        );
        let missing = error(environment(&[("TOKEN_FILE", "/nowhere/token")]).value("TOKEN"));
        assert!(missing.starts_with("TOKEN_FILE: /nowhere/token: "), "{missing}");
        assert!(environment(&[("TOKEN", ""), ("TOKEN_FILE", "")]).value("TOKEN").unwrap().is_none());
        let bytes = Environment(|name: &str| (name == "TOKEN").then(|| OsString::from_vec(vec![b's', 0xff])));
        assert_eq!(error(bytes.value("TOKEN")), "TOKEN is not valid UTF-8; set it again");
    }

    #[test]
    fn half_a_cluster_names_the_other_half() {
        let (database, redis) = (("CARDCTL_DATABASE", "postgres://u:hidden@h/d"), ("CARDCTL_REDIS", "redis://h"));
        let address = environment(&[database, redis]).cluster().unwrap().unwrap();
        assert_eq!((address.database.as_str(), address.redis.as_str()), (database.1, redis.1));
        assert!(environment(&[]).cluster().unwrap().is_none());
        for (given, missing) in [(database, "CARDCTL_REDIS"), (redis, "CARDCTL_DATABASE")] {
            let message = error(environment(&[given]).cluster());
            assert!(message.contains(&format!("set {missing}_FILE or {missing}")), "{message}");
            assert!(!message.contains("hidden"), "{message}");
        }
    }
}
