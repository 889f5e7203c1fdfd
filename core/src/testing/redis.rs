//! A Redis that keeps nothing: what is killed is empty when it comes back.

use std::net::SocketAddr;

use nix::sys::signal::Signal;

use super::node::{Node, in_memory};

/// A Redis of one's own, without persistence.
pub struct Redis {
    node: Node,
}

impl Redis {
    /// Starts one, and waits until it answers.
    ///
    /// # Panics
    /// There is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with settings of `redis.conf`, such as `("appendonly", "yes")`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self { node: Node::start(|port, _| in_memory(port, settings)) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// Its address as clients take it.
    #[must_use]
    pub fn url(&self) -> String {
        Self::url_at(self.address())
    }

    /// The address through something in between, such as a [`Proxy`](super::Proxy).
    #[must_use]
    pub fn url_at(address: SocketAddr) -> String {
        format!("redis://{address}/0")
    }

    /// `kill -9`: all that it held is lost, and its port refuses.
    pub fn kill(&self) {
        self.node.kill();
    }

    /// Starts it again where it was, with nothing in it. Kills it first if it runs.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again_empty(&self) {
        self.node.start_again();
    }

    /// `SIGSTOP`: connections stay open, and nothing answers.
    pub fn pause(&self) {
        self.node.signal(Signal::SIGSTOP);
    }

    /// `SIGCONT`: goes on where it was stopped.
    pub fn resume(&self) {
        self.node.signal(Signal::SIGCONT);
    }

    /// Empties it at once, as an operator's mistake would.
    ///
    /// # Panics
    /// It does not answer.
    pub fn flush_all(&self) {
        let flushed: redis::RedisResult<()> = self.node.ask(&["FLUSHALL"]);
        flushed.unwrap_or_else(|error| panic!("FLUSHALL: {error}"));
    }

    /// Sends one command, as its administrator, and insists that it is carried out.
    ///
    /// # Panics
    /// It is refused.
    pub fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.node.ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}
