use std::net::TcpListener;

use super::cluster::Cluster;
use crate::sandbox::{free_port, status_line};

#[test]
fn servers_share_the_port_of_a_front_and_status_names_it() {
    let cluster = Cluster::new();
    let port = free_port();
    let front = format!("shop={port}");
    cluster.up(&["--servers", "2", "--front", &front]);
    assert_eq!(cluster.names(), ["issuer", "server-1", "server-2", "worker-1"]);
    let status = cluster.expect(0, &["status", "-o", "json"]).json();
    assert_eq!(status["fronts"], serde_json::json!({"shop": format!("http://127.0.0.1:{port}")}));
    assert_eq!(status_line(port, "/-/healthy"), "HTTP/1.1 200 OK");
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "the port is kept for the servers");
    cluster.expect(0, &["down"]);
    TcpListener::bind(("127.0.0.1", port)).unwrap();
}
