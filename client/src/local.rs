//! What this machine could not do: no fault of the platform, and no sign of it either.
//!
//! A connection takes a file descriptor, a port, buffers, a name that can be looked up. Whoever has none of these has asked
//! nobody anything.

use std::error::Error;
use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use nix::errno::Errno;
use reqwest::dns::{Addrs, Resolve, Resolving};

/// What was missing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalFault {
    /// File descriptors, of this process or of the machine.
    Files,
    /// Ports to connect from.
    Ports,
    /// Memory, or room in the network's buffers.
    Memory,
    /// The name can't be looked up.
    Name,
    /// The network is unreachable, or not allowed.
    Network,
}

impl LocalFault {
    /// What is behind an error; none if it says nothing about this machine.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<LookupFailed>() {
                return Some(Self::Name);
            }
            let system = error.downcast_ref::<io::Error>();
            if let Some(fault) = system.and_then(io::Error::raw_os_error).and_then(Self::of_errno) {
                return Some(fault);
            }
            // The source of an error of one's own making is that of what it wraps, and not what it wraps.
            let wrapped = system.and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
            next = wrapped.or_else(|| error.source());
        }
        None
    }

    fn of_errno(errno: i32) -> Option<Self> {
        match Errno::from_raw(errno) {
            Errno::EMFILE | Errno::ENFILE => Some(Self::Files),
            Errno::EADDRNOTAVAIL | Errno::EADDRINUSE => Some(Self::Ports),
            Errno::ENOBUFS | Errno::ENOMEM => Some(Self::Memory),
            Errno::ENETDOWN | Errno::ENETUNREACH | Errno::EPERM | Errno::EACCES => Some(Self::Network),
            _ => None,
        }
    }

    /// A stable name to count by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "local-files",
            Self::Ports => "local-ports",
            Self::Memory => "local-memory",
            Self::Name => "local-name",
            Self::Network => "local-network",
        }
    }

    /// Every one.
    pub const ALL: [Self; 5] = [Self::Files, Self::Ports, Self::Memory, Self::Name, Self::Network];

    /// What it is, in words.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Files => "too many open files",
            Self::Ports => "no free local port",
            Self::Memory => "no memory for another connection",
            Self::Name => "the host name can't be looked up",
            Self::Network => "the network is unreachable",
        }
    }

    /// What helps, in words.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Files => "raise the limit (ulimit -n), or use fewer users",
            Self::Ports => "widen net.ipv4.ip_local_port_range, or use more generators on other machines",
            Self::Memory => "give it more memory, or use fewer users",
            Self::Name => "check the name in --target, and this machine's DNS (/etc/resolv.conf)",
            Self::Network => "check this machine's network, routes and firewall",
        }
    }
}

/// Less than a connection may take: whoever waits for a name server must not be told that the platform is not there.
const LOOKUP_LIMIT: Duration = Duration::from_secs(4);

/// A name that could not be looked up: a type of its own, so that nobody has to read messages.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct LookupFailed(io::Error);

/// Looks names up as the system does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names;

async fn look_up(name: String) -> Result<std::vec::IntoIter<std::net::SocketAddr>, LookupFailed> {
    let looking = tokio::time::timeout(LOOKUP_LIMIT, tokio::net::lookup_host((name.as_str(), 0)));
    let looked =
        looking.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no name server answered")));
    let found: Vec<_> = looked.map_err(LookupFailed)?.collect();
    if found.is_empty() {
        return Err(LookupFailed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(found.into_iter())
}

impl Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move { Ok(Box::new(look_up(name).await?) as Addrs) })
    }
}

impl tower_service::Service<Name> for Names {
    type Response = std::vec::IntoIter<std::net::SocketAddr>;
    type Error = LookupError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let name = name.as_str().to_owned();
        Box::pin(async move { Ok(look_up(name).await?) })
    }
}

type LookupError = Box<dyn Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(error: impl Error + 'static) -> Option<LocalFault> {
        LocalFault::of(&error)
    }

    #[test]
    fn what_the_system_refused_here_is_told_from_what_the_other_side_did() {
        let system = |errno: Errno| fault(io::Error::from_raw_os_error(errno as i32));
        for (errno, expected) in [
            (Errno::EMFILE, Some(LocalFault::Files)),
            (Errno::ENFILE, Some(LocalFault::Files)),
            (Errno::EADDRNOTAVAIL, Some(LocalFault::Ports)),
            (Errno::ENOBUFS, Some(LocalFault::Memory)),
            (Errno::ENOMEM, Some(LocalFault::Memory)),
            (Errno::ENETUNREACH, Some(LocalFault::Network)),
            (Errno::ECONNREFUSED, None),
            (Errno::ECONNRESET, None),
            (Errno::ETIMEDOUT, None),
            (Errno::EHOSTUNREACH, None),
        ] {
            assert_eq!(system(errno), expected, "{errno}");
        }
    }

    #[test]
    fn it_is_found_however_deep_it_lies() {
        let inner = io::Error::from_raw_os_error(Errno::EMFILE as i32);
        let wrapped = io::Error::other(io::Error::other(inner));
        assert_eq!(fault(wrapped), Some(LocalFault::Files));
        let lookup = io::Error::other(LookupFailed(io::Error::other("no such name")));
        assert_eq!(fault(lookup), Some(LocalFault::Name));
    }

    #[tokio::test]
    async fn a_name_that_is_not_there_is_ours_by_either_client() {
        // Reserved for that (RFC 6761): no resolver finds it.
        for base in ["http://nowhere.invalid:7400", "https://nowhere.invalid:7400"] {
            let (token, plain) = (crate::Token::new("t"), "nowhere.invalid".parse().unwrap());
            let client = crate::Client::with(base, Some(token), &plain).unwrap();
            let read = client.stats().await.unwrap_err();
            let order = crate::Order::of::<card_kinds::add::Addition>(&card_kinds::add::Add { x: 1, y: 2 });
            let accept = crate::Accept { caller: crate::Caller::Operator, key: None, run: None };
            let sent = client.accept(&order, accept).await.unwrap_err();
            for error in [read, sent] {
                assert_eq!(error.local(), Some(LocalFault::Name), "{error:?}");
                assert!(error.is_retryable() && !error.is_unknown());
            }
        }
    }
}
