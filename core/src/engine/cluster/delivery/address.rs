//! An address of Redis, read by our own grammar: whatever a library would pass over in silence (a parameter, a password for
//! nobody, TLS that checks nothing) is refused.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

/// What an address says. It may hold a password, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RedisAddress {
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) reach: Reach,
}

/// What stands behind the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// One server, and which of its databases.
    Single { database: i64 },
    /// Nodes of a Redis Cluster.
    Cluster,
    /// Sentinels, and what they call the master.
    Sentinel { master: String, database: i64 },
}

const FORMS: &str = "it is none of redis://HOST:6379/0, redis-cluster://HOST:PORT,HOST:PORT, \
     redis-sentinel://HOST:PORT,HOST:PORT/NAME, and the same with rediss for TLS";

impl RedisAddress {
    /// Reads an address. The error repeats nothing of it: any part may be a password in the wrong place.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(FORMS)?;
        let (tls, kind) = match scheme {
            "redis" | "redis-cluster" | "redis-sentinel" => (false, &scheme["redis".len()..]),
            "rediss" | "rediss-cluster" | "rediss-sentinel" => (true, &scheme["rediss".len()..]),
            _ => return Err(FORMS),
        };
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        if place.contains('#') {
            return Err(
                "#insecure and the like are not supported: TLS without a check of the certificate is none. To \
                 trust a CA of your own, name its file in SSL_CERT_FILE",
            );
        }
        if place.contains('?') {
            return Err("parameters after ? are not supported");
        }
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let (user, password) = login.map_or(Ok((None, None)), credentials)?;
        let port = if kind == "-sentinel" { 26_379 } else { 6379 };
        let hosts = hosts.split(',').map(|one| host(one, port).ok_or("a host or a port in it is none"));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let reach = match kind {
            "-cluster" if matches!(path, "" | "0") => Reach::Cluster,
            "-cluster" => return Err("a Redis Cluster has one database, 0: leave out what follows /"),
            "-sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(
                        "behind sentinels the name of the master follows: redis-sentinel://HOST:PORT,HOST:PORT/NAME",
                    );
                }
                Reach::Sentinel { master: decoded(master)?, database: number(database)? }
            }
            _ if hosts.len() > 1 => return Err("several hosts are redis-cluster:// or redis-sentinel://"),
            _ => Reach::Single { database: number(path)? },
        };
        Ok(Self { tls, user, password, hosts, reach })
    }

    /// How to connect to one of the hosts.
    pub(super) fn node(&self, (host, port): &(String, u16)) -> RedisResult<ConnectionInfo> {
        Ok(self.at(host, *port).into_connection_info()?.set_redis_settings(self.login()))
    }

    pub(super) fn at(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    /// How to connect to a sentinel: with the password, and without.
    pub(super) fn sentinel(&self, (host, port): &(String, u16)) -> [RedisResult<ConnectionInfo>; 2] {
        let bare = || self.at(host, *port).into_connection_info();
        [bare().map(|info| info.set_redis_settings(self.login().set_db(0))), bare()]
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(self.database());
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        login
    }

    pub(super) const fn database(&self) -> i64 {
        match &self.reach {
            Reach::Single { database } | Reach::Sentinel { database, .. } => *database,
            Reach::Cluster => 0,
        }
    }
}

fn credentials(login: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let Some((user, password)) = login.split_once(':') else {
        return Err(
            "it names a user without a password, who would not be used: USER:PASSWORD@, or :PASSWORD@ for the default \
             user",
        );
    };
    if password.is_empty() {
        return Err("the password in it is empty");
    }
    if login.contains(['/', '?', '#']) {
        return Err("/, ? and # in a user or password are written %2F, %3F and %23");
    }
    let user = if user.is_empty() { None } else { Some(decoded(user)?) };
    Ok((user, Some(decoded(password)?)))
}

fn host(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let named =
        !host.is_empty() && !host.chars().any(|c| c.is_whitespace() || c.is_control() || "/\\%\"<>".contains(c));
    let port = match port {
        None => default,
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
    };
    named.then(|| (host.to_owned(), port))
}

fn number(text: &str) -> Result<i64, &'static str> {
    match text.trim_end_matches('/') {
        "" => Ok(0),
        digits => digits
            .parse()
            .ok()
            .filter(|number| *number >= 0)
            .ok_or("what follows the last / is the number of a database"),
    }
}

/// `%40` and the like.
fn decoded(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "a % in it is not followed by two hexadecimal digits, or what they say is not UTF-8";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(WRONG);
            let (high, low) = (digit()?, digit()?);
            u8::try_from(high * 16 + low).map_err(|_| WRONG)?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> RedisAddress {
        RedisAddress::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn every_form_says_where_who_and_whether_by_tls() {
        let one = read("redis://127.0.0.1:6379/2");
        assert_eq!((one.tls, one.reach, one.hosts.len()), (false, Reach::Single { database: 2 }, 1));
        let cluster = read("rediss-cluster://me:w%40rd@a:1,[::1]:2/");
        assert!(cluster.tls && cluster.reach == Reach::Cluster);
        assert_eq!(cluster.hosts, [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert_eq!((cluster.user.as_deref(), cluster.password.as_deref()), (Some("me"), Some("w@rd")));
        for (text, tls) in
            [("redis-sentinel://:word@a,b:2/cards/3", false), ("rediss-sentinel://:word@a,b:2/cards/3", true)]
        {
            let sentinels = read(text);
            assert_eq!(sentinels.tls, tls);
            assert_eq!(sentinels.reach, Reach::Sentinel { master: "cards".into(), database: 3 });
            assert_eq!(sentinels.hosts, [("a".to_owned(), 26_379), ("b".to_owned(), 2)]);
            assert_eq!((sentinels.user, sentinels.password.as_deref()), (None, Some("word")));
            assert!(matches!(sentinels.hosts[0], (ref host, _) if host == "a"));
        }
        assert!(matches!(read("rediss://a").at("a", 1), ConnectionAddr::TcpTls { insecure: false, .. }));
        assert!(matches!(read("redis://a").at("a", 1), ConnectionAddr::Tcp(..)));
    }

    #[test]
    fn what_would_be_passed_over_in_silence_is_refused_and_not_repeated() {
        for text in [
            "",
            "secret",
            "postgres://secret",
            "http://secret",
            "redis+tls://secret",
            "REDISS://secret",
            "redis:secret",
            "rediss://secret#insecure",
            "redis://secret#insecure",
            "rediss-cluster://secret#insecure",
            "rediss-sentinel://secret/x#insecure",
            "redis://secret?ssl=true",
            "redis://secret/0?protocol=resp3",
            "redis-cluster://secret?x=1",
            "redis-sentinel://secret/x?password=1",
            "redis://secret@a",
            "redis://secret:@a",
            "redis://:@a",
            "redis://u:sec/ret@a",
            "redis://a,secret",
            "redis-cluster://a/1",
            "redis-cluster://",
            "redis://",
            "redis-sentinel://secret:1",
            "redis-sentinel://secret:1/",
            "redis-sentinel://:w@/x",
            "redis://a:0",
            "redis://a:secret",
            "redis://a/secret",
            "redis://a/-1",
            "redis://a/0/secret",
            "redis://[secret",
            "redis://[::1]secret",
            "redis://:%@a",
            "redis://:%ff@a",
            "redis://a b",
        ] {
            let Some(reason) = RedisAddress::parse(text).err() else { panic!("{text} was taken") };
            assert!(!reason.contains("secret"), "{text}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, scheme in "rediss?(-cluster|-sentinel)?") {
            let _ = RedisAddress::parse(&text);
            let _ = RedisAddress::parse(&format!("{scheme}://{text}"));
        }

        #[test]
        fn any_password_comes_out_as_it_is_meant(password in "\\PC{1,20}") {
            let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(read(&format!("redis://u:{encoded}@h")).password, Some(password));
        }
    }
}
