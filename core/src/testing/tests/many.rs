//! Several Redis servers that belong together.

use redis::cluster::ClusterClient;

use super::super::{RedisCluster, Sentinels};
use super::ask_redis;

#[test]
fn a_cluster_shares_the_keys_and_takes_a_lost_node_back_empty() {
    let cluster = RedisCluster::start(3);
    assert_eq!(cluster.url().matches("127.0.0.1:").count(), 3);
    let nodes = cluster.node_urls();
    let client = ClusterClient::new(nodes.clone()).unwrap();
    let mut connection = client.get_connection().unwrap();
    for n in 0..300 {
        redis::cmd("SET").arg(format!("key:{n}")).arg(n).exec(&mut connection).unwrap();
    }
    let held = |url: &String| ask_redis::<u64>(url, &["DBSIZE"]).unwrap();
    let each: Vec<u64> = nodes.iter().map(held).collect();
    assert_eq!(each.iter().sum::<u64>(), 300);
    assert!(each.iter().all(|count| *count > 50), "{each:?}");

    cluster.kill_node(1);
    assert!(ask_redis::<u64>(&nodes[1], &["DBSIZE"]).is_err());
    cluster.start_node_again(1);
    let rest: Vec<u64> = nodes.iter().map(held).collect();
    assert_eq!(rest, [each[0], 0, each[2]]);
    let mut connection = client.get_connection().unwrap();
    for n in 0..300 {
        redis::cmd("SET").arg(format!("key:{n}")).arg(n).exec(&mut connection).unwrap();
    }
    cluster.flush_all();
    assert_eq!(nodes.iter().map(held).sum::<u64>(), 0);
}

#[test]
fn a_master_that_dies_is_replaced_as_often_as_it_happens() {
    let sentinels = Sentinels::start();
    assert_eq!(sentinels.url().matches("127.0.0.1:").count(), 3);
    let mut masters = vec![sentinels.master().expect("all sentinels name it")];
    for _ in 0..2 {
        let killed = sentinels.kill_master();
        assert_eq!(killed, masters[masters.len() - 1]);
        let master = sentinels.wait_for_another_master(killed);
        ask_redis::<()>(&format!("redis://{master}/"), &["SET", "key", "value"]).unwrap();
        sentinels.start_again(killed);
        masters.push(master);
    }
    assert_ne!(masters[0], masters[1]);
    assert_eq!(masters[0], masters[2]);
}
