//! Every connection to Postgres and Redis is cut, again and again.

use std::time::Duration;

use tokio::time::sleep;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_at_random_for_30_s_lose_nothing() {
    let mut platform = Platform::behind_proxies(Duration::from_millis(20)).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await, platform.worker("worker-2").await];
    let seed = rand::random();
    platform.note = format!("the proxies' seed is {seed}");
    let load = platform.load(1_500, 50);
    for proxy in &platform.proxies {
        proxy.cut_at_random(seed, Duration::from_millis(700));
    }
    // How long the fault lasts, and no wait for anything. On top of it all of them at once, now and then.
    for _ in 0..10 {
        sleep(Duration::from_secs(3)).await;
        platform.proxies.iter().for_each(|proxy| proxy.cut_all());
    }
    platform.proxies.iter().for_each(|proxy| proxy.let_live());
    platform.prove(1_500, load.ends().await, parts).await;
}
