//! Where settings come from, and which source wins: flag over environment over files over built in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::pairs;
use super::{DEFAULT_FILE, Settings};
use crate::telemetry::mask::secrets;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `default.toml`.
    BuiltIn,
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A flag on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file can't be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// There is no such setting.
    #[error("{origin}: no such setting: {key:?}{}", suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    UnknownKey {
        /// What was given.
        key: String,
        origin: Origin,
        /// The nearest one there is.
        suggestion: Option<String>,
    },
    /// A value holds a user name or a password, and values are shown.
    #[error("{origin}: {key}: an address must not hold a user name or a password")]
    Credentials {
        /// The setting.
        key: String,
        /// Where the value came from.
        origin: Origin,
    },
    /// A value is not acceptable.
    #[error("{origin}: {key}: {message}")]
    Value {
        /// The setting.
        key: String,
        /// Where the value came from.
        origin: Origin,
        message: String,
    },
}

/// Sources in rising order of precedence.
#[derive(Debug)]
pub struct Layers {
    known: BTreeMap<String, Value>,
    values: BTreeMap<String, (Value, Origin)>,
}

/// Settings and where each came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub settings: Settings,
    /// By dotted key.
    pub origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// The built-in values alone.
    #[must_use]
    pub fn built_in() -> Self {
        let mut known = BTreeMap::new();
        let table = DEFAULT_FILE.parse::<Table>().unwrap_or_default();
        flatten("", table, &mut known);
        let values = known.iter().map(|(key, value)| (key.clone(), (value.clone(), Origin::BuiltIn))).collect();
        Self { known, values }
    }

    /// Adds a file, if it exists.
    ///
    /// # Errors
    /// It can't be read, is not TOML, or has a setting that there is not.
    pub fn file(&mut self, path: &Path) -> Result<&mut Self, SettingsError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            Err(source) => return Err(SettingsError::Read { path: path.to_owned(), source }),
        };
        let table = text.parse::<Table>().map_err(|error| SettingsError::Syntax {
            path: path.to_owned(),
            message: place_and_reason(&text, &error),
        })?;
        let mut flat = BTreeMap::new();
        flatten("", table, &mut flat);
        for (key, value) in flat {
            self.set(key, value, Origin::File(path.to_owned()))?;
        }
        Ok(self)
    }

    /// Adds the `CARDCTL_…` variables that name settings; others with that prefix are left to whoever reads them. An empty
    /// one counts as unset.
    ///
    /// # Errors
    /// A value can't be read as what the setting is.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<&mut Self, SettingsError> {
        let names: BTreeMap<String, String> = self.known.keys().map(|key| (variable(key), key.clone())).collect();
        // CI sets variables to nothing for what was not given.
        for (name, text) in variables.into_iter().filter(|(_, text)| !text.is_empty()) {
            if let Some(key) = names.get(&name) {
                self.text(key.clone(), &text, Origin::Environment(name))?;
            }
        }
        Ok(self)
    }

    /// Adds a value from the command line.
    ///
    /// # Errors
    /// There is no such setting, or the text can't be read as what it is.
    pub fn flag(&mut self, key: &str, text: &str, flag: &str) -> Result<&mut Self, SettingsError> {
        self.text(key.to_owned(), text, Origin::Flag(flag.to_owned()))?;
        Ok(self)
    }

    /// Puts the layers together.
    ///
    /// # Errors
    /// A value is of the wrong type or out of its bounds.
    pub fn resolve(&self) -> Result<Resolved, SettingsError> {
        let mut values = self.values.clone();
        pairs::follow(&mut values);
        let mut table = Table::new();
        for (key, (value, _)) in &values {
            insert(&mut table, key, value.clone());
        }
        let value_error = |key: &str, message: String| SettingsError::Value {
            key: key.to_owned(),
            origin: values.get(key).map_or(Origin::BuiltIn, |(_, origin)| origin.clone()),
            message,
        };
        if let Some((key, (_, origin))) =
            self.values.iter().find(|(_, (value, _))| value.as_str().is_some_and(holds_credentials))
        {
            return Err(SettingsError::Credentials { key: key.clone(), origin: origin.clone() });
        }
        let settings = Settings::deserialize_checked(table).map_err(|message| {
            // Serde does not say which field a value error belongs to: try each foreign value alone on the defaults.
            let culprit = values.iter().find(|&(key, (value, origin))| {
                *origin != Origin::BuiltIn && {
                    let mut alone = DEFAULT_FILE.parse::<Table>().unwrap_or_default();
                    insert(&mut alone, key, value.clone());
                    Settings::deserialize_checked(alone).is_err()
                }
            });
            value_error(culprit.map_or("settings", |(key, _)| key), message)
        })?;
        settings.check().map_err(|(key, message)| value_error(key, message.to_owned()))?;
        pairs::check(&values).map_err(|(key, message)| value_error(key, message))?;
        let origins = values.iter().map(|(key, (_, origin))| (key.clone(), origin.clone())).collect();
        Ok(Resolved { settings, origins })
    }

    fn set(&mut self, key: String, value: Value, origin: Origin) -> Result<(), SettingsError> {
        if !self.known.contains_key(&key) {
            let suggestion = self.known.keys().min_by_key(|known| strsim::levenshtein(known, &key)).cloned();
            let suggestion = suggestion.filter(|known| strsim::levenshtein(known, &key) <= 4);
            return Err(SettingsError::UnknownKey { key, origin, suggestion });
        }
        self.values.insert(key, (value, origin));
        Ok(())
    }

    /// Text from outside takes the type that the built-in value has.
    fn text(&mut self, key: String, text: &str, origin: Origin) -> Result<(), SettingsError> {
        let value = match self.known.get(&key) {
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).map_err(|_| "must be a whole number"),
            Some(Value::Float(_)) => text.parse().map(Value::Float).map_err(|_| "must be a number"),
            Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).map_err(|_| "must be true or false"),
            _ => Ok(Value::String(text.to_owned())),
        };
        match value {
            Ok(value) => self.set(key, value, origin),
            Err(message) => Err(SettingsError::Value { key, origin, message: message.to_owned() }),
        }
    }
}

impl Settings {
    fn deserialize_checked(table: Table) -> Result<Self, String> {
        table.try_into().map_err(|error: toml::de::Error| without_values(error.message()))
    }
}

/// Where a file is no TOML, and why. Not with the line, as the parser would show it: it may hold a password.
fn place_and_reason(text: &str, error: &toml::de::Error) -> String {
    let reason = without_values(error.message());
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return reason };
    let (line, column) =
        before.rsplit_once('\n').map_or((1, before), |(lines, last)| (lines.split('\n').count() + 1, last));
    format!("line {line}, column {}: {reason}", column.chars().count() + 1)
}

/// What a reader says, without the value that it could not read.
fn without_values(message: &str) -> String {
    let quotes = ["invalid type: ", "invalid value: ", "unknown variant "];
    match message.rsplit_once(", expected ").filter(|_| quotes.iter().any(|quotes| message.starts_with(quotes))) {
        Some((_, expected)) => format!("must be {expected}"),
        None => secrets(message.lines().next().unwrap_or_default()).into_owned(),
    }
}

/// Whether it is an address with somebody's name or password before the host.
#[must_use]
pub fn holds_credentials(text: &str) -> bool {
    // Up to the last @, because a password may hold a slash.
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

impl SettingsError {
    /// What helps, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        let Self::Credentials { key, .. } = self else { return None };
        Some(match key.as_str() {
            "target" => {
                "name the address alone, such as http://HOST:PORT; an operator's token goes into the file that CARDCTL_OPERATOR_TOKEN_FILE names"
            }
            "worker.issuer.url" => {
                "name the address alone, such as https://HOST; an issuer that wants a password is reached through a proxy that adds it"
            }
            _ => "take the user name and the password out of it",
        })
    }
}

/// The variable that sets a key: `worker.retry.max-attempts` is `CARDCTL_WORKER_RETRY_MAX_ATTEMPTS`.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("CARDCTL_{}", key.replace(['.', '-'], "_").to_ascii_uppercase())
}

fn flatten(prefix: &str, table: Table, into: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, into),
            value => {
                into.insert(key, value);
            }
        }
    }
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cardctl.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_flag_beats_the_environment_beats_a_file() {
        let (_dir, path) = file("[server]\nport = 1111\nbody-limit = 2222\n[log]\nlevel = 'warn'\n");
        let mut layers = Layers::built_in();
        layers.file(&path).unwrap();
        layers
            .environment([("CARDCTL_SERVER_PORT".into(), "3333".into()), ("CARDCTL_LOG_LEVEL".into(), "debug".into())])
            .unwrap();
        layers.flag("server.port", "4444", "--port").unwrap();
        let resolved = layers.resolve().unwrap();
        assert_eq!(resolved.settings.server.port, 4444);
        assert_eq!(resolved.settings.log.level, "debug");
        assert_eq!(resolved.settings.server.body_limit, 2222);
        assert_eq!(resolved.origins["server.port"].to_string(), "--port");
        assert_eq!(resolved.origins["log.level"].to_string(), "$CARDCTL_LOG_LEVEL");
        assert_eq!(resolved.origins["server.body-limit"], Origin::File(path));
        assert_eq!(resolved.origins["worker.lease"], Origin::BuiltIn);
    }

    #[test]
    fn an_unknown_setting_names_the_nearest_one() {
        let (_dir, path) = file("[server]\nprot = 1\n");
        let error = Layers::built_in().file(&path).unwrap_err().to_string();
        assert!(error.ends_with("no such setting: \"server.prot\"; did you mean \"server.port\"?"), "{error}");
    }

    #[test]
    fn a_bad_value_names_the_setting_and_its_source() {
        let mut layers = Layers::built_in();
        layers.environment([("CARDCTL_WORKER_LEASE".into(), "soon".into())]).unwrap();
        let error = layers.resolve().unwrap_err().to_string();
        assert!(error.starts_with("$CARDCTL_WORKER_LEASE: worker.lease: must be a number"), "{error}");
        let mut layers = Layers::built_in();
        layers.flag("issuer.error-rate", "1.5", "--error-rate").unwrap();
        let error = layers.resolve().unwrap_err().to_string();
        assert_eq!(error, "--error-rate: issuer.error-rate: must lie between 0 and 1");
    }

    #[test]
    fn a_variable_that_is_empty_counts_as_unset_whatever_it_names() {
        let mut layers = Layers::built_in();
        let names: Vec<_> = layers.known.keys().map(|key| variable(key)).collect();
        layers.environment(names.into_iter().map(|name| (name, String::new()))).unwrap();
        assert!(layers.resolve().unwrap().origins.values().all(|origin| *origin == Origin::BuiltIn));
    }

    #[test]
    fn no_message_repeats_a_value() {
        for text in [
            "[worker.issuer]\nurl = 'http://user:hunter2@issuer'\n",
            "[worker.issuer]\nurl = 'http://us/er:hunter2@issuer'\n",
            "target = 'https://hunter2@host'\n",
            "[kube]\nregistry = 'https://u:hunter2@registry/x'\n",
            "[server]\nport = 'hunter2'\n",
            "[log]\nformat = 'hunter2, expected hunter2'\n",
            "[log]\npassword = hunter2\n",
            "token = 'hunter2'\ntoken = 'hunter2'\n",
            "[server\nsecret = 'hunter2'",
            "password = \"hunter2\nx = 1",
        ] {
            let (_dir, path) = file(text);
            let mut layers = Layers::built_in();
            let error = layers.file(&path).map(|_| ()).and_then(|()| layers.resolve().map(drop)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let (_dir, path) = file("[server]\nport = = 1\n");
        let error = Layers::built_in().file(&path).unwrap_err().to_string();
        assert!(error.contains("cardctl.toml: line 2, column 8: "), "{error}");
    }

    #[test]
    fn an_address_with_a_password_is_refused_with_what_helps() {
        let mut layers = Layers::built_in();
        layers.flag("target", "http://user:hunter2@127.0.0.1:7400", "--target").unwrap();
        let error = layers.resolve().unwrap_err();
        assert_eq!(error.to_string(), "--target: target: an address must not hold a user name or a password");
        assert!(error.fix().unwrap().contains("CARDCTL_OPERATOR_TOKEN_FILE"));
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(text in "\\PC*") {
            let (_dir, path) = file(&text);
            let mut layers = Layers::built_in();
            if layers.file(&path).is_ok() {
                let _ = layers.resolve();
            }
        }
    }
}
