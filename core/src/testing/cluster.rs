//! A Redis Cluster of masters on loopback.

use std::process::Command;
use std::time::Duration;

use super::node::{Node, in_memory};
use super::ports;
use super::process::in_path;
use super::waiting::eventually;

const AGREE: Duration = Duration::from_secs(60);

/// Redis nodes that share the slots among them. There are no replicas: a node that dies takes its slots with it, and
/// the whole cluster refuses until it is back, which is what Redis does by default.
pub struct RedisCluster {
    nodes: Vec<Node>,
}

impl RedisCluster {
    /// Starts so many nodes, at least three, and waits until all of them say that the cluster works.
    ///
    /// # Panics
    /// There is no `redis-server` or no `redis-cli`, or they don't come to agree.
    #[must_use]
    pub fn start(nodes: usize) -> Self {
        let start = |_| {
            Node::start(|port, _| {
                // By default it is the port and 10000, where somebody else may listen.
                let bus = ports::free().to_string();
                in_memory(port, &[("cluster-enabled", "yes"), ("cluster-port", &bus), ("cluster-node-timeout", "2000")])
            })
        };
        let cluster = Self { nodes: (0..nodes).map(start).collect() };
        let program = in_path("redis-cli").expect("redis-cli is in PATH; on Debian: apt-get install redis-tools");
        let mut create = Command::new(program);
        create.args(["--cluster", "create"]).args(cluster.nodes.iter().map(|node| node.address().to_string()));
        let created = create.arg("--cluster-yes").output().expect("redis-cli can be run");
        assert!(created.status.success(), "no cluster was made:\n{}", String::from_utf8_lossy(&created.stdout));
        cluster.agree();
        cluster
    }

    /// Its address as clients take it: `redis-cluster://` and all nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// The addresses of single nodes.
    #[must_use]
    pub fn node_urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("redis://{}/", node.address())).collect()
    }

    /// `kill -9` of the node with this number, from 0: what it held is lost.
    pub fn kill_node(&self, number: usize) {
        self.nodes[number].kill();
    }

    /// Starts that node again, empty, with its old slots, and waits until the cluster works.
    ///
    /// # Panics
    /// It does not start, or the others don't take it back.
    pub fn start_node_again(&self, number: usize) {
        self.nodes[number].start_again();
        self.agree();
    }

    /// Empties all nodes.
    ///
    /// # Panics
    /// One does not answer.
    pub fn flush_all(&self) {
        for node in &self.nodes {
            let flushed: redis::RedisResult<()> = node.ask(&["FLUSHALL"]);
            flushed.unwrap_or_else(|error| panic!("FLUSHALL: {error}"));
        }
    }

    fn agree(&self) {
        eventually("every node says cluster_state:ok", AGREE, || {
            self.nodes
                .iter()
                .all(|node| {
                    let state = node.ask::<String>(&["CLUSTER", "INFO"]).unwrap_or_default();
                    state.lines().any(|line| line.trim() == "cluster_state:ok")
                })
                .then_some(())
        });
    }
}
