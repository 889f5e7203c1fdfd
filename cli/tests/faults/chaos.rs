//! Anything but Postgres' disk, in any order, as often as one likes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use card_core::testing::Shutdown;
use tokio::time::sleep;

use crate::part::Part;
use crate::platform::Platform;

const FAULTS: u64 = 20;

/// What runs, and how many there were, for their names.
struct Running {
    servers: Vec<Part>,
    workers: Vec<Part>,
    started: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_faults_in_a_row_lose_nothing() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut platform = Platform::start(Duration::from_millis(100)).await;
    platform.note = format!("the seed of the faults is {seed}:");
    let mut running = Running {
        servers: vec![platform.server("server-1").await, platform.server("server-2").await],
        workers: vec![platform.worker("worker-1").await, platform.worker("worker-2").await],
        started: 2,
    };
    let load = platform.load(1_500, 60);
    for fault in 1..=FAULTS {
        // In the middle of the work, however slow this machine is, and together with the end of the last one at times.
        platform.until_accepted(fault * 40).await;
        sleep(Duration::from_millis(random.random_range(0..300))).await;
        let what = running.pull_a_plug(&platform, &mut random).await;
        platform.note.push_str(&format!(" {what},"));
    }
    let Running { servers, workers, .. } = running;
    platform.prove(1_500, load.ends().await, servers.into_iter().chain(workers)).await;
}

impl Running {
    async fn pull_a_plug(&mut self, platform: &Platform, random: &mut StdRng) -> &'static str {
        let pause = Duration::from_millis(random.random_range(0..3_000));
        let one = random.random_range(0..2);
        self.started += 1;
        match random.random_range(0..8) {
            0 | 1 => {
                platform.redis.flush_all();
                "Redis emptied"
            }
            2 => {
                platform.redis.kill();
                sleep(pause).await;
                platform.redis.start_again_empty();
                "Redis killed"
            }
            3 => {
                platform.redis.pause();
                sleep(pause).await;
                platform.redis.resume();
                "Redis paused"
            }
            4 => {
                platform.postgres.stop(Shutdown::Immediate);
                sleep(pause).await;
                platform.postgres.start_again();
                "Postgres crashed"
            }
            5 => {
                platform.postgres.kill();
                platform.postgres.start_again();
                "Postgres killed"
            }
            6 => {
                self.servers.remove(one).kill().await;
                sleep(pause).await;
                self.servers.push(platform.server(&format!("server-{}", self.started)).await);
                "server killed"
            }
            _ => {
                self.workers.remove(one).kill().await;
                sleep(pause).await;
                self.workers.push(platform.worker(&format!("worker-{}", self.started)).await);
                "worker killed"
            }
        }
    }
}
