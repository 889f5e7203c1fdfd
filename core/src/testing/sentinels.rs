//! A Redis with a replica, and sentinels that make the replica the master when the master dies.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::node::{Node, in_memory};
use super::ports;
use super::waiting::eventually;

/// What the sentinels call the master.
const NAME: &str = "card";
/// A fail-over takes three seconds or so; one that failed is tried again after twice its time-out.
const AGREE: Duration = Duration::from_secs(60);

/// One master, one replica, three sentinels. A master that is silent for two seconds is replaced. (After half a
/// second, on a busy machine, sentinels took each new master for dead as well, and went back and forth for a minute.)
///
/// Replication is asynchronous: what the master took just before it died may be lost.
pub struct Sentinels {
    sentinels: Vec<Node>,
    servers: Vec<Node>,
}

impl Sentinels {
    /// Starts all five, and waits until the sentinels know each other and the replica.
    ///
    /// # Panics
    /// There is no `redis-server`, or they don't come to agree.
    #[must_use]
    pub fn start() -> Self {
        // A master would wait five seconds for further replicas before it sends what it has.
        let at_once = ("repl-diskless-sync-delay", "0");
        let master = Node::start(|port, _| in_memory(port, &[at_once]));
        let of = format!("127.0.0.1 {}", master.address().port());
        let replica = Node::start(|port, _| in_memory(port, &[at_once, ("replicaof", &of)]));
        let sentinel = |_| Node::start(|port, dir| sentinel(port, dir, &of));
        let all = Self { sentinels: (0..3).map(sentinel).collect(), servers: vec![master, replica] };
        eventually("the sentinels know each other and the replica, which follows its master", AGREE, || {
            (all.sentinels.iter().all(knows_the_others) && follows(&all.servers[1])).then_some(())
        });
        all
    }

    /// Its address as clients take it: `redis-sentinel://`, the sentinels, and what they call the master.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis-sentinel://{}/{NAME}", sentinels.join(","))
    }

    /// The master, if all sentinels name the same, and it is one.
    #[must_use]
    pub fn master(&self) -> Option<SocketAddr> {
        let named = |sentinel: &Node| {
            let named: (String, u16) = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).ok()?;
            Some(named.1)
        };
        let port = named(&self.sentinels[0])?;
        let agreed = self.sentinels.iter().all(|sentinel| named(sentinel) == Some(port));
        let address = ports::loopback(port);
        (agreed && role(self.server(address)?).as_deref() == Some("master")).then_some(address)
    }

    /// `kill -9` of the present master. Returns at once, with its address.
    ///
    /// # Panics
    /// There is none.
    pub fn kill_master(&self) -> SocketAddr {
        let master = eventually("there is a master", AGREE, || self.master());
        self.server(master).expect("a master is one of our servers").kill();
        master
    }

    /// Waits until another server than this is the master, and returns it.
    ///
    /// # Panics
    /// None comes.
    pub fn wait_for_another_master(&self, than: SocketAddr) -> SocketAddr {
        eventually("another master", AGREE, || self.master().filter(|master| *master != than))
    }

    /// Starts a server that was killed, and waits until it follows the master: then that one may die.
    ///
    /// # Panics
    /// It does not start, or the sentinels don't take it back.
    pub fn start_again(&self, address: SocketAddr) {
        let server = self.server(address).expect("one of our servers");
        server.start_again();
        // Sentinels do this as well, but take their time.
        let master = eventually("there is a master", AGREE, || self.master());
        let told: redis::RedisResult<()> = server.ask(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
        told.unwrap_or_else(|error| panic!("REPLICAOF: {error}"));
        eventually("the server that came back follows the master", AGREE, || follows(server).then_some(()));
    }

    /// From now on the servers want a password, and the sentinels, too, if so said. Nothing here may be asked after that.
    ///
    /// # Panics
    /// One of them does not take it.
    pub fn protect(&self, password: &str, sentinels: bool) {
        let tell = |node: &Node, words: &[&str]| {
            let told: redis::RedisResult<redis::Value> = node.ask(words);
            told.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        };
        for sentinel in &self.sentinels {
            tell(sentinel, &["SENTINEL", "SET", NAME, "auth-pass", password]);
            if sentinels {
                tell(sentinel, &["ACL", "SETUSER", "default", &format!(">{password}")]);
            }
        }
        for server in &self.servers {
            tell(server, &["CONFIG", "SET", "masterauth", password, "requirepass", password]);
        }
    }

    fn server(&self, address: SocketAddr) -> Option<&Node> {
        self.servers.iter().find(|server| server.address() == address)
    }
}

/// A sentinel keeps what it learns in its configuration file, so that it has to have one.
fn sentinel(port: u16, dir: &Path, master: &str) -> Vec<String> {
    let file = dir.join("sentinel.conf");
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\n\
         sentinel monitor {NAME} {master} 2\n\
         sentinel down-after-milliseconds {NAME} 2000\n\
         sentinel failover-timeout {NAME} 3000\n",
        dir.display()
    );
    fs::write(&file, text).expect("a file in a temporary directory");
    vec![file.display().to_string(), "--sentinel".into()]
}

fn knows_the_others(sentinel: &Node) -> bool {
    let known: HashMap<String, String> = sentinel.ask(&["SENTINEL", "MASTER", NAME]).unwrap_or_default();
    let is = |field: &str, value: &str| known.get(field).is_some_and(|found| found == value);
    is("flags", "master") && is("num-slaves", "1") && is("num-other-sentinels", "2")
}

fn role(server: &Node) -> Option<String> {
    field(server, "role:")
}

fn follows(server: &Node) -> bool {
    role(server).as_deref() == Some("slave") && field(server, "master_link_status:").as_deref() == Some("up")
}

fn field(server: &Node, name: &str) -> Option<String> {
    let text: String = server.ask(&["INFO", "replication"]).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}
