use super::cluster::Cluster;

#[test]
fn workers_and_servers_come_and_the_youngest_go() {
    let cluster = Cluster::new();
    let record = cluster.up(&[]);
    let scaled = cluster.expect(0, &["scale", "workers=3", "servers=2", "-o", "json"]).json();
    assert_eq!((&scaled["workers"]["from"], &scaled["workers"]["to"]), (&1.into(), &3.into()));
    assert_eq!(cluster.names(), ["issuer", "server-1", "worker-1", "server-2", "worker-2", "worker-3"]);
    assert_eq!(cluster.sandbox.record().workers, 3, "the record follows");
    cluster.works();
    let addresses: Vec<_> = ["server-1", "server-2"].map(|name| cluster.child(name).unwrap()["address"].clone()).into();
    assert!(addresses.iter().all(|address| record.url.ends_with(address.as_str().unwrap())), "{addresses:?}");

    let oldest = cluster.child("worker-1").unwrap()["pid"].clone();
    cluster.expect(0, &["scale", "workers=1", "servers=1"]);
    assert_eq!(cluster.names(), ["issuer", "server-1", "worker-1"]);
    assert_eq!(cluster.child("worker-1").unwrap()["pid"], oldest, "it was not touched");
    cluster.works();
    let up = cluster.expect(3, &["up", "-d", "-t", "processes", "--workers", "2"]);
    assert!(up.stderr.contains("workers: running with 1, requested 2"), "{}", up.stderr);
    cluster.expect(0, &["down"]);
    cluster.sandbox.assert_nothing_runs();
}

#[test]
fn what_does_not_come_about_is_named() {
    let cluster = Cluster::new();
    cluster.up(&[]);
    // No process is up in no time.
    let ended = cluster.expect(124, &["scale", "workers=2", "--wait-timeout", "0"]);
    assert!(
        ended.stderr.contains("workers: 1 of 2 ready") && ended.stderr.contains("worker-2 is starting"),
        "{}",
        ended.stderr
    );
    cluster.expect(0, &["scale", "workers=2"]);
}
