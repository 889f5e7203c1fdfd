//! What Redis holds, read past the platform. The names of the keys have the ledger's id in them, so they are found by
//! their ends: see `core/src/engine/cluster/delivery`.

use std::time::Duration;

use card_core::ids::WorkerId;
use redis::Connection;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::platform::{PATIENCE, Platform};

/// Who sweeps, and which workers there are: kept whether there is work or not.
const STANDING: [&str; 2] = [":sweeper", ":workers"];

impl Platform {
    /// No lease, no entry and no mark is left: memory follows the backlog, and there is none.
    pub(crate) async fn until_redis_is_empty(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.kept();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "Redis still holds {left:?}\n{}", self.logs());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many tasks Redis knows of, at most: each is there under more than one key.
    pub(crate) fn known(&self) -> u64 {
        self.kept().into_iter().map(|(_, count)| count).sum()
    }

    /// The tasks that a worker has, as Redis thinks; see `common.lua`.
    pub(crate) fn held_by(&self, worker: WorkerId) -> Vec<Uuid> {
        let (mut connection, worker) = (self.redis(), worker.to_string());
        let mut tasks = Vec::new();
        for key in keys(&mut connection).into_iter().filter(|key| key.contains(":held:")) {
            let held: Vec<(Vec<u8>, String)> = redis::cmd("HGETALL").arg(key).query(&mut connection).unwrap();
            let by_it = held.iter().filter(|(_, lease)| lease.split(' ').nth(1) == Some(&worker));
            tasks.extend(by_it.map(|(task, _)| Uuid::from_slice(task).unwrap()));
        }
        tasks
    }

    /// Every key that holds something for tasks, whatever it is called, and how much.
    fn kept(&self) -> Vec<(String, u64)> {
        let mut connection = self.redis();
        let mut kept = Vec::new();
        for key in keys(&mut connection) {
            if STANDING.iter().any(|end| key.ends_with(end)) {
                continue;
            }
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).unwrap();
            let count = match kind.as_str() {
                // It went meanwhile.
                "none" => continue,
                "stream" => "XLEN",
                "set" => "SCARD",
                "zset" => "ZCARD",
                "hash" => "HLEN",
                other => panic!("{key} is a {other}: nobody knows what for"),
            };
            let count: u64 = redis::cmd(count).arg(&key).query(&mut connection).unwrap();
            // An empty stream stays, for its group; everything else goes when it is empty.
            if count > 0 {
                kept.push((key, count));
            }
        }
        kept
    }

    fn redis(&self) -> Connection {
        redis::Client::open(self.redis.url()).unwrap().get_connection().unwrap()
    }
}

fn keys(connection: &mut Connection) -> Vec<String> {
    redis::cmd("KEYS").arg("*").query(connection).unwrap()
}
