//! Where a server is: the part of its address that may be shown.

use std::fmt;
use std::path::PathBuf;

use card_core::engine::cluster::locate;

/// Which of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The ledger.
    Postgres,
    /// The delivery.
    Redis,
}

/// Where a server is, without who may enter. What was secret in its address is kept aside, to take it out of whatever
/// others say about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    nodes: Vec<Node>,
    name: Option<String>,
    secrets: Vec<String>,
}

/// What can be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A host and a port.
    Tcp(String, u16),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// The query parameter that holds a secret.
const SECRET_PARAMETER: &str = "password";

impl Service {
    /// As it is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Redis => "Redis",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Postgres => "postgres://USER@HOST:5432/DATABASE",
            Self::Redis => "redis://HOST:6379",
        }
    }

    fn knows(self, scheme: &str) -> bool {
        match self {
            Self::Postgres => matches!(scheme, "postgres" | "postgresql"),
            Self::Redis => matches!(
                scheme,
                "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel" | "rediss-sentinel"
            ),
        }
    }

    fn port(self, scheme: &str) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Redis if scheme.ends_with("-sentinel") => 26_379,
            Self::Redis => 6379,
        }
    }
}

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    /// It is none. The sentence says what one looks like and repeats nothing of it: any part may be a password that
    /// is in the wrong place.
    pub fn of(service: Service, address: &str) -> Result<Self, String> {
        if service == Service::Postgres {
            return Self::of_postgres(address);
        }
        let refused = || format!("it is not a {} address such as {}", service.name(), service.example());
        let (scheme, rest) = address.trim().split_once("://").ok_or_else(refused)?;
        if !service.knows(scheme) {
            return Err(refused());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
        if name.contains('@') || query.contains('@') {
            return Err("escape '/', '?' and '@' in a password as %2F, %3F and %40".to_owned());
        }
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut secrets: Vec<String> =
            user.split_once(':').map(|(_, password)| password.to_owned()).into_iter().collect();
        let mut place = Self { nodes: Vec::new(), name: Some(decoded(name)), secrets: Vec::new() };
        let given = query.split('&').filter_map(|pair| pair.split_once('='));
        secrets.extend(given.filter(|(key, _)| *key == SECRET_PARAMETER).map(|(_, value)| value.to_owned()));
        let usual = service.port(scheme);
        place.nodes = hosts.split(',').map(|host| split(host, usual)).collect::<Option<_>>().ok_or_else(refused)?;
        place.name = place.name.filter(|name| !name.is_empty());
        place.secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        let unescaped: Vec<_> = place.secrets.iter().map(|secret| decoded(secret)).collect();
        place.secrets.extend(unescaped);
        Ok(place)
    }

    /// As the engine reads it, in each of libpq's forms, with what it leaves out from the environment.
    fn of_postgres(address: &str) -> Result<Self, String> {
        let located = locate(address)?;
        let host = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Ok(Self {
            nodes: located.hosts.iter().map(|(name, port)| node(&host(name), *port)).collect(),
            name: located.database,
            secrets: located.secrets,
        })
    }

    /// The port of its first server, for who has to let it through.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.nodes.iter().find_map(|node| match node {
            Node::Tcp(_, port) => Some(*port),
            Node::Unix(_) => None,
        })
    }

    /// Whether there is a password in the address.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// What can be connected to, in the order of the address.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A text of somebody else's without what is secret here.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// A place that was written down as it is shown, such as `127.0.0.1:5432/cards`.
impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(shown: &str) -> Result<Self, ()> {
        let (nodes, name) = match shown.rsplit_once('/') {
            Some((nodes, name)) if !nodes.is_empty() && !name.starts_with(".s.") => (nodes, Some(name.to_owned())),
            _ => (shown, None),
        };
        let read = |node: &str| match node.rsplit_once(':') {
            _ if node.starts_with('/') => Some(Node::Unix(node.into())),
            Some((host, port)) => Some(Node::Tcp(host.to_owned(), port.parse().ok()?)),
            None => None,
        };
        let nodes = nodes.split(',').map(read).collect::<Option<_>>().ok_or(())?;
        Ok(Self { nodes, name, secrets: Vec::new() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.nodes.iter().map(ToString::to_string).collect();
        f.write_str(&nodes.join(","))?;
        self.name.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

/// Only what may be shown.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// `host`, `host:port`, `[::1]:port`; nothing is this machine.
fn split(host: &str, usual: u16) -> Option<Node> {
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (host, usual),
    };
    Some(node(&decoded(host), port))
}

fn node(host: &str, port: u16) -> Node {
    match host {
        "" => Node::Tcp("localhost".to_owned(), port),
        // As libpq names its sockets.
        directory if directory.starts_with('/') => Node::Unix(format!("{directory}/.s.PGSQL.{port}").into()),
        host => Node::Tcp(host.to_owned(), port),
    }
}

/// Without percent escapes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn postgres(address: &str) -> Place {
        Place::of(Service::Postgres, address).unwrap()
    }

    #[test]
    fn what_is_shown_is_where_and_never_who() {
        for (address, shown) in [
            ("postgres://ada:secret@db.internal:6000/cards?sslmode=require", "db.internal:6000/cards"),
            ("postgresql://ada@db/cards", "db:5432/cards"),
            ("postgres://ada:se%2Fcret@[::1]:1/cards", "[::1]:1/cards"),
            ("postgres:///cards?host=/run/pg&port=6000&password=secret", "/run/pg/.s.PGSQL.6000/cards"),
            ("postgres://%2Frun%2Fpg/cards", "/run/pg/.s.PGSQL.5432/cards"),
            ("postgres://ada@a:1,b/cards", "a:1,b:5432/cards"),
            ("host=a,b port=1,2 dbname=cards user=ada password='my secret'", "a:1,b:2/cards"),
        ] {
            assert_eq!(postgres(address).to_string(), shown);
            assert_eq!(format!("{:?}", postgres(address)), shown);
            assert_eq!(shown.parse::<Place>().unwrap().nodes(), postgres(address).nodes(), "{shown}");
        }
        for (address, shown) in [
            ("redis://:secret@cache:7000/3", "cache:7000/3"),
            ("rediss://cache", "cache:6379"),
            ("redis-cluster://a:1,b:2", "a:1,b:2"),
            ("redis-sentinel://:secret@a,b:2/main", "a:26379,b:2/main"),
        ] {
            assert_eq!(Place::of(Service::Redis, address).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_password_is_found_wherever_it_is() {
        assert!(postgres("postgres://ada:secret@db/cards").has_password());
        assert!(postgres("postgres://ada@db/cards?password=secret").has_password());
        assert!(Place::of(Service::Redis, "redis://:secret@cache").unwrap().has_password());
        assert!(!postgres("postgres://ada@db/cards").has_password());
        assert!(!postgres("postgres://ada:@db/cards").has_password());
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        for address in ["secret", "mysql://secret@db", "postgres://a:1/secret@db", "postgres://a:secret", "redis://db"]
        {
            let refused = Place::of(Service::Postgres, address).unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
        assert!(Place::of(Service::Redis, "postgres://db").is_err());
    }

    #[test]
    fn what_others_say_is_scrubbed() {
        let place = postgres("postgres://ada:a%20b@db/cards");
        assert_eq!(place.scrub("no entry for ada with 'a b' (a%20b)"), "no entry for ada with '…' (…)");
    }

    proptest! {
        #[test]
        fn no_password_is_ever_shown(user in "[a-z]{0,5}", password in "[A-Z!$#%&*=+]{1,9}", rest in "[a-z0-9.:/?=,]{0,20}") {
            let address = format!("postgres://{user}:{password}@{rest}");
            let shown = Place::of(Service::Postgres, &address).map_or_else(|refused| refused, |place| place.to_string());
            prop_assert!(!shown.contains(&format!(":{password}")), "{}", shown);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Place::of(Service::Redis, &format!("redis://{text}"));
            let _ = text.parse::<Place>();
        }
    }
}
