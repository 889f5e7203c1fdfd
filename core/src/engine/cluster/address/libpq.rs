//! The address of a Postgres as libpq reads it: a URI or words `key=value`, one host or several, with what is left out
//! from the environment: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>.
//!
//! Parameters that ask for more safety than we can give are refused, not ignored.

use std::fmt::Write;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::engine::{EngineError, ErrorKind};

/// One server of an address.
#[derive(Debug, Clone)]
pub(in crate::engine::cluster) struct Server {
    /// How to connect to it.
    pub(in crate::engine::cluster) options: PgConnectOptions,
    /// Settings for each session (`options=-c name=value`). Set after connecting: poolers drop what is in the startup
    /// packet.
    pub(in crate::engine::cluster) settings: Vec<(String, String)>,
}

const FORMS: &str = "postgres://USER@HOST:5432/DATABASE, or host=HOST dbname=DATABASE user=USER";

/// Passed on as they are.
const PASSED_ON: [&str; 7] = ["dbname", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey"];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What we do anyway, or what makes no difference here.
const IGNORED: [&str; 14] = [
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "load_balance_hosts",
    "gssencmode",
    "krbsrvname",
    "sslcompression",
    "sslsni",
];

impl Server {
    /// The servers of an address, in its order.
    ///
    /// # Errors
    /// `Broken`: the address can't be used. The sentence repeats no value of it: any part may be a password.
    pub(in crate::engine::cluster) fn of(
        address: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Self>, EngineError> {
        Self::read(address.trim(), environment).map(|(servers, _)| servers).map_err(|reason| {
            EngineError::new(ErrorKind::Broken, format!("the address of the database can't be used: {reason}"))
                .fixed_by("give it as postgres://USER@HOST:5432/DATABASE, with PASSWORD after USER: or in PGPASSWORD")
        })
    }

    /// The servers, and what in the address is secret.
    pub(super) fn read(
        address: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Vec<Self>, Vec<String>), String> {
        let mut secrets = Vec::new();
        let scheme = ["postgres://", "postgresql://"].into_iter().find_map(|scheme| address.strip_prefix(scheme));
        let pairs = match scheme {
            Some(rest) => of_uri(rest, &mut secrets)?,
            None if address.contains('=') && !address.contains("://") => of_words(address)?,
            None => return Err(format!("it is neither {FORMS}")),
        };
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let (mut hosts, mut addresses, mut ports) = (None, None, None);
        let mut given = String::new();
        let mut settings = set("PGOPTIONS").map_or_else(|| Ok(Vec::new()), |text| of_options(&text))?;
        for (key, value) in pairs {
            match key.as_str() {
                // An empty one counts as left out, as in libpq.
                _ if value.is_empty() => {}
                "host" => hosts = Some(value),
                "hostaddr" => addresses = Some(value),
                "port" => ports = Some(value),
                "options" => settings.extend(of_options(&value)?),
                // Whoever writes needs what we look for anyway.
                "target_session_attrs" if matches!(value.as_str(), "any" | "read-write" | "primary") => {}
                "target_session_attrs" => {
                    return Err(
                        "target_session_attrs names a standby, and the ledger is written to; use read-write, or \
                                leave it out"
                            .to_owned(),
                    );
                }
                "sslmode" if !SSL_MODES.contains(&value.as_str()) => {
                    return Err(format!("sslmode is one of {}", SSL_MODES.join(", ")));
                }
                key if PASSED_ON.contains(&key) => {
                    if key == "password" {
                        secrets.extend([encoded(&value), value.clone()]);
                    }
                    let _ = write!(given, "&{key}={}", encoded(&value));
                }
                key if IGNORED.contains(&key) => {}
                key => return Err(format!("the parameter {} is not supported", named(key))),
            }
        }
        let hosts = addresses.or(hosts).or_else(|| set("PGHOSTADDR")).or_else(|| set("PGHOST"));
        let ports = ports.or_else(|| set("PGPORT"));
        let hosts: Vec<Option<&str>> =
            hosts.as_deref().map_or_else(|| vec![None], |hosts| hosts.split(',').map(Some).collect());
        let ports: Vec<&str> = ports.as_deref().map_or_else(|| vec!["5432"], |ports| ports.split(',').collect());
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err(format!(
                "it has {} hosts and {} ports; give one port, or one for each",
                hosts.len(),
                ports.len()
            ));
        }
        let mut servers = Vec::with_capacity(hosts.len());
        for (at, host) in hosts.into_iter().enumerate() {
            let port = ports.get(at).unwrap_or(&ports[0]).trim();
            let port = if port.is_empty() { "5432" } else { port };
            let port: u16 = port.parse().map_err(|_| "a port is a number from 1 to 65535".to_owned())?;
            let mut url = format!("postgres:///?port={port}{given}");
            if let Some(host) = host.filter(|host| !host.is_empty()) {
                let _ = write!(url, "&host={}", encoded(host.trim().trim_matches(['[', ']'])));
            }
            let options = PgConnectOptions::from_str(&url).map_err(|error| error.to_string())?;
            servers.push(Self { options, settings: settings.clone() });
        }
        Ok((servers, secrets))
    }

    /// Its host, or the directory of its socket, and its port.
    pub(in crate::engine::cluster) fn place(&self) -> (String, u16) {
        let socket = self.options.get_socket().map(|path| path.display().to_string());
        (socket.unwrap_or_else(|| self.options.get_host().to_owned()), self.options.get_port())
    }

    /// As our engine connects.
    pub(in crate::engine::cluster) fn prepared(mut self) -> Self {
        self.options = self
            .options
            .application_name(concat!("cardctl ", env!("CARGO_PKG_VERSION")))
            // Nothing in the startup packet that a pooler refuses or drops: no statement here is about floats.
            .extra_float_digits(None)
            .statement_cache_capacity(64)
            .disable_statement_logging();
        self
    }
}

/// `[user[:password]@][host[:port],…][/database][?key=value&…]`
fn of_uri(rest: &str, secrets: &mut Vec<String>) -> Result<Vec<(String, String)>, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    if name.contains('@') || query.contains('@') {
        return Err("escape '/', '?' and '@' in a password as %2F, %3F and %40".to_owned());
    }
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    if !password.is_empty() {
        // As it is written, whatever its escapes look like.
        secrets.push(password.to_owned());
    }
    let mut pairs = vec![
        ("user".to_owned(), decoded(user)?),
        ("password".to_owned(), decoded(password)?),
        ("dbname".to_owned(), decoded(name)?),
    ];
    if !hosts.is_empty() {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            let (host, port) = match host.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => (host, port),
                _ => (host, ""),
            };
            names.push(decoded(host)?);
            ports.push(port);
        }
        pairs.push(("host".to_owned(), names.join(",")));
        if ports.iter().any(|port| !port.is_empty()) {
            pairs.push(("port".to_owned(), ports.join(",")));
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("after the '?' come words key=value with '&' between them")?;
        if key == "password" && !value.is_empty() {
            secrets.push(value.to_owned());
        }
        pairs.push((decoded(key)?, decoded(value)?));
    }
    Ok(pairs)
}

/// `key=value key='value with \' and spaces' …`
fn of_words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or("it has a word without '='")?;
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, letter) in after.char_indices().skip(usize::from(quoted)) {
            match letter {
                _ if escaped => {
                    value.push(letter);
                    escaped = false;
                }
                '\\' => escaped = true,
                '\'' if quoted => {
                    end = Some(at + 1);
                    break;
                }
                letter if !quoted && letter.is_whitespace() => {
                    end = Some(at);
                    break;
                }
                letter => value.push(letter),
            }
        }
        let end = match end {
            Some(end) => end,
            None if quoted => return Err("a quoted value does not end".to_owned()),
            None => after.len(),
        };
        pairs.push((key.trim().to_owned(), value));
        rest = after[end..].trim_start();
    }
    Ok(pairs)
}

/// `-c name=value`, `--name=value`; spaces in a value are escaped with a backslash.
fn of_options(text: &str) -> Result<Vec<(String, String)>, String> {
    let (mut words, mut word, mut escaped) = (Vec::new(), String::new(), false);
    for letter in text.chars().chain([' ']) {
        match letter {
            _ if escaped => {
                word.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            letter if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next(),
            Some(setting) => Some(setting.to_owned()),
            None => None,
        };
        let setting = setting.as_deref().and_then(|setting| setting.split_once('='));
        let (name, value) = setting.ok_or("options may hold -c name=value and nothing else")?;
        settings.push((name.trim().replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// A key, if it looks like one: a misplaced '=' could make one of a password.
fn named(key: &str) -> &str {
    let plain = key.len() <= 32 && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain { key } else { "(not shown)" }
}

fn decoded(text: &str) -> Result<String, String> {
    let wrong = || "a '%' in it is not followed by two hexadecimal digits; write %25 for the sign itself".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let hex = after.get(..2).and_then(|hex| str::from_utf8(hex).ok()).ok_or_else(wrong)?;
            bytes.push(u8::from_str_radix(hex, 16).map_err(|_| wrong())?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| "what its '%' signs stand for is not UTF-8".to_owned())
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        let _ =
            if byte.is_ascii_alphanumeric() { write!(url, "{}", char::from(byte)) } else { write!(url, "%{byte:02X}") };
        url
    })
}

#[cfg(test)]
mod tests;
