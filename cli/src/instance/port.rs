//! Which port the API gets, and who has the one that it does not get.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use card_core::fronts::Front;
use tokio::net::TcpSocket;

use super::Process;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Connections that may wait to be accepted; the kernel's `somaxconn` bounds it.
const BACKLOG: u32 = 4096;
const BUSY: &str = "port-busy";
/// How far to look for a free one.
const TRIES: u16 = 100;

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process, if it can be seen.
    pub pid: Option<u32>,
    /// The process's command.
    pub command: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, &self.command) {
            (Some(pid), Some(command)) => write!(f, "{command}, process {pid}"),
            (Some(pid), None) => write!(f, "process {pid}"),
            _ => f.write_str("a process of another user"),
        }
    }
}

/// Binds the port. If it is busy and nobody asked for exactly this one, binds the next free one. Needs a runtime.
///
/// # Errors
/// The port that was asked for is busy, or may not be bound.
pub fn bind(address: IpAddr, port: u16, exactly: bool) -> Result<TcpListener, Failure> {
    take(address, port, exactly, listen)
}

fn take<T>(
    address: IpAddr,
    port: u16,
    exactly: bool,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, Failure> {
    let last = if exactly { port } else { port.saturating_add(TRIES) };
    for candidate in port..=last {
        match bind(SocketAddr::new(address, candidate)) {
            Ok(bound) => return Ok(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(refused(address, candidate, &error)),
        }
    }
    Err(busy(port, exactly))
}

/// Keeps a port for children that share it, without listening: bound as [`bind`] binds it, so that nobody else has it, and
/// from then on open to sockets with `SO_REUSEPORT` of the same user alone. Needs a runtime.
///
/// # Errors
/// As [`bind`].
pub fn reserve(address: IpAddr, port: u16, exactly: bool) -> Result<TcpSocket, Failure> {
    take(address, port, exactly, |address| {
        let socket = socket(address)?;
        // A connection that is not quite gone is no holder, one who listens is. Binding tells the latter only if it may
        // not share, so that is allowed later.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        // As long as no child listens, a stranger with SO_REUSEADDR could: with us it may not.
        socket.set_reuseaddr(false)?;
        socket.set_reuseport(true)?;
        Ok(socket)
    })
}

/// What a port of a front that can't be had says.
#[must_use]
pub fn of_front(front: Front, port: u16, failure: Failure) -> Failure {
    let fix = if failure.code == BUSY {
        format!("stop its holder, or use another port: --front {front}=PORT")
    } else {
        format!(
            "set server.address to an address of this machine, and use a port of 1024 or more: --front {front}=PORT"
        )
    };
    let message = failure.message.replace(&format!("port {port}"), &format!("port {port} of the front {front}"));
    Failure { message, ..failure }.fix(fix)
}

/// Whether nobody listens there now.
#[must_use]
pub fn is_free(address: IpAddr, port: u16) -> bool {
    listen(SocketAddr::new(address, port)).is_ok()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    // A port whose old connections have not quite gone is free; one that somebody listens on is not.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

fn busy(port: u16, exactly: bool) -> Failure {
    let holder =
        holder(port).map_or_else(|| "held by an unknown process".to_owned(), |holder| format!("held by {holder}"));
    let failure = if exactly {
        Failure::new(BUSY, Exit::NotReady, format!("port {port} is in use"))
            .fix("use another --port, or leave it out to take the next free one")
    } else {
        let message = format!("ports {port} to {} are all in use", port.saturating_add(TRIES));
        Failure::new(BUSY, Exit::NotReady, message).fix("cardctl up --port 0 takes any free port")
    };
    failure.evidence(holder).left("nothing was started")
}

fn refused(address: IpAddr, port: u16, error: &io::Error) -> Failure {
    Failure::new("port-refused", Exit::NotReady, format!("{address} port {port} can't be listened on: {error}"))
        .fix("set server.address to an address of this machine and server.port to 1024 or more")
        .left("nothing was started")
}

/// Who listens on the port on this machine; none if nobody does.
#[must_use]
pub fn holder(port: u16) -> Option<Holder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let pid = owner(inode);
    Some(Holder { pid, command: pid.and_then(Process::command) })
}

/// The socket in state LISTEN (0A) on the port, in the kernel's table.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?.rsplit_once(':')?.1;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        (state == "0A" && u16::from_str_radix(local, 16) == Ok(port)).then(|| inode.parse().ok())?
    })
}

fn owner(inode: u64) -> Option<u32> {
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = std::fs::read_dir(process.path().join("fd")).ok()?.filter_map(Result::ok);
        files
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))
            .then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_busy_port_that_was_asked_for_names_its_holder() {
        let held = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let failure = bind(LOOPBACK, port, true).unwrap_err();
        assert_eq!(failure.exit, Exit::NotReady);
        assert_eq!(holder(port).unwrap().pid, Some(std::process::id()));
        assert!(failure.evidence[0].contains(&std::process::id().to_string()), "{failure:?}");
    }

    /// As a child listens: see `--reuse-port`.
    fn child(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        let socket = socket(address)?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }

    #[tokio::test]
    async fn a_reserved_port_is_for_children_alone() {
        let reserved = reserve(LOOPBACK, 0, true).unwrap();
        let address = reserved.local_addr().unwrap();
        assert!(reserve(LOOPBACK, address.port(), true).is_err(), "another supervisor");
        assert!(bind(LOOPBACK, address.port(), true).is_err(), "another process");
        let children = [child(address).unwrap(), child(address).unwrap()];
        assert!(bind(LOOPBACK, address.port(), true).is_err(), "another process while children listen");
        drop(children);
        child(address).unwrap();
    }

    #[tokio::test]
    async fn a_port_that_somebody_listens_on_is_not_reserved() {
        let held = child(SocketAddr::new(LOOPBACK, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let failure = reserve(LOOPBACK, port, true).unwrap_err();
        assert!(failure.evidence[0].contains(&std::process::id().to_string()), "{failure:?}");
        assert_ne!(reserve(LOOPBACK, port, false).unwrap().local_addr().unwrap().port(), port);
    }

    #[tokio::test]
    async fn a_busy_default_port_gives_way_to_the_next() {
        let held = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let next = bind(LOOPBACK, port, false).unwrap().local_addr().unwrap().port();
        assert!(next > port);
    }
}
