//! Where the addresses come from: a flag, a variable, or a file that a variable names.

use std::ffi::OsString;
use std::path::Path;

use card_core::engine::cluster::Address;
use card_core::files::{self, Distrust};

use super::{Place, Service};
use crate::failure::Failure;
use card_core::exit::Exit;

/// What the command line says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags<'a> {
    /// `--database`.
    pub database: Option<&'a str>,
    /// `--redis`.
    pub redis: Option<&'a str>,
}

/// Names of one address on the outside.
struct Names {
    service: Service,
    flag: &'static str,
    variable: &'static str,
    file: &'static str,
}

const DATABASE: Names = Names {
    service: Service::Postgres,
    flag: "--database",
    variable: "CARDCTL_DATABASE",
    file: "CARDCTL_DATABASE_FILE",
};
const REDIS: Names =
    Names { service: Service::Redis, flag: "--redis", variable: "CARDCTL_REDIS", file: "CARDCTL_REDIS_FILE" };

/// Both addresses, if both are given: by flag, else by variable, else by file.
///
/// # Errors
/// One is missing, is no address, or holds a password where everybody can read it.
pub fn given(flags: Flags<'_>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Address, Failure> {
    let database = one(&DATABASE, flags.database, &variable)?;
    let redis = one(&REDIS, flags.redis, &variable)?;
    match (database, redis) {
        (Some(database), Some(redis)) => Ok(Address { database, redis }),
        (database, redis) => Err(missing(database.is_none(), redis.is_none())),
    }
}

/// One address, if it is given: by flag, else by variable, else by file.
///
/// # Errors
/// It is no address, or holds a password where everybody can read it.
pub fn one_given(
    service: Service,
    flag: Option<&str>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    let names = if service == Service::Postgres { DATABASE } else { REDIS };
    one(&names, flag, &variable)
}

/// What variables and files say, each by itself: for who only looks.
pub(super) fn from_environment(
    service: Service,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    one_given(service, None, variable)
}

fn one(
    names: &Names,
    flag: Option<&str>,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    let Names { service, flag: flag_name, variable: name, file } = names;
    let place = |address: &str, from: &str| {
        Place::of(*service, address).map_err(|reason| {
            Failure::new("usage", Exit::Usage, format!("{from} can't be used"))
                .evidence(reason)
                .fix("cardctl up --help")
        })
    };
    if let Some(address) = flag {
        if place(address, flag_name)?.has_password() {
            return Err(exposed(names));
        }
        return Ok(Some(address.to_owned()));
    }
    let text = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(address) = text(name) {
        let address = address.into_string().map_err(|_| {
            Failure::new("usage", Exit::Usage, format!("${name} is not valid UTF-8")).fix(format!("correct {name}"))
        })?;
        place(&address, &format!("${name}"))?;
        return Ok(Some(address.trim().to_owned()));
    }
    let Some(path) = text(file) else { return Ok(None) };
    let address = files::read_named_secret(Path::new(&path)).map_err(|error| {
        let failure =
            Failure::new("address", Exit::NotReady, format!("the address of {} can't be read", service.name()));
        match Distrust::of(&error) {
            Some(distrust) => failure.evidence(format!("${file}: {distrust}")).fix(distrust.fix.as_str()),
            None => failure
                .evidence(format!("${file}, {}: {error}", path.display()))
                .fix(format!("set {file} to the path of a file that holds it")),
        }
    })?;
    place(&address, &format!("the file that ${file} names"))?;
    Ok(Some(address.trim().to_owned()))
}

fn exposed(names: &Names) -> Failure {
    let Names { flag, variable, file, .. } = names;
    let message = format!("{flag} holds a password, and every user of this machine can read the command line");
    Failure::new("password-in-flag", Exit::Usage, message)
        .fix(format!(
            "leave out {flag}, and set {variable} to the address or {file} to the path of a file that holds it"
        ))
        .left("nothing was started; change that password if other people use this machine")
}

fn missing(database: bool, redis: bool) -> Failure {
    let names: Vec<_> =
        [(database, &DATABASE), (redis, &REDIS)].into_iter().filter_map(|(is, names)| is.then_some(names)).collect();
    let flags: Vec<_> = names.iter().map(|names| names.flag).collect();
    let verb = if flags.len() == 1 { " is" } else { " are" };
    let failure = Failure::new(
        "usage",
        Exit::Usage,
        format!("target \"processes\" needs a Postgres and a Redis: {} missing", flags.join(" and ") + verb),
    );
    let failure = names.iter().fold(failure, |failure, names| {
        failure.evidence(format!("none of {}, ${} and ${} is set", names.flag, names.variable, names.file))
    });
    failure.fix("cardctl up -t processes --database postgres://USER@HOST/DATABASE --redis redis://HOST")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(flags: Flags<'_>, variables: &[(&str, &str)]) -> Result<Address, Failure> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
        given(flags, find)
    }

    const PLACES: Flags<'static> = Flags { database: Some("postgres://ada@db/cards"), redis: Some("redis://cache") };

    #[test]
    fn a_flag_beats_a_variable_beats_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("redis");
        files::replace(&file, b"redis://:secret@file\n").unwrap();
        let file = file.to_str().unwrap();
        let variables = [("CARDCTL_DATABASE", "postgres://u:secret@variable/cards"), ("CARDCTL_REDIS_FILE", file)];
        assert_eq!(with(PLACES, &variables).unwrap().database, "postgres://ada@db/cards");
        let address = with(Flags::default(), &variables).unwrap();
        assert_eq!(address.database, "postgres://u:secret@variable/cards");
        assert_eq!(address.redis, "redis://:secret@file");
    }

    #[test]
    fn a_password_in_a_flag_is_refused_and_not_repeated() {
        for flags in [
            Flags { database: Some("postgres://ada:hunter2@db/cards"), ..PLACES },
            Flags { database: Some("postgres://db/cards?password=hunter2"), ..PLACES },
            Flags { redis: Some("redis://:hunter2@cache"), ..PLACES },
        ] {
            let failure = with(flags, &[]).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "password-in-flag"));
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
            assert!(failure.fix.unwrap().contains("leave out --"));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = with(Flags::default(), &[]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--database") && failure.message.contains("--redis"), "{failure:?}");
        let failure = with(Flags { redis: None, ..PLACES }, &[]).unwrap_err();
        assert!(!failure.message.contains("--database") && failure.message.contains("--redis"), "{failure:?}");
    }
}
