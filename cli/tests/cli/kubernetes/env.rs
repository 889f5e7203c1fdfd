//! The address that scripts are told: one that is there after the command, or none.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};

use serde_json::json;

use super::{Lab, NAMESPACE};
use crate::sandbox::address_in_a_network;

/// Says that it is healthy, to everybody who asks at that address, until the test ends.
fn healthy(address: IpAddr) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    port
}

#[test]
fn without_an_address_that_stays_none_is_printed() {
    let lab = Lab::new("lab");
    lab.sandbox.expect(4, &["env", "-t", "kube", "--context", "lab"]);
    lab.deployed();
    insta::assert_snapshot!(lab.sandbox.transcript(&["env"]));
}

#[test]
fn a_port_of_a_node_is_an_address_if_it_answers() {
    let lab = Lab::new("lab");
    lab.deployed();
    let mut service = lab.server.get("Service", Some(NAMESPACE), "server").unwrap();
    let mut opened = |port: u16| {
        service["spec"]["ports"][0]["nodePort"] = port.into();
        lab.server.put(service.clone());
    };
    let node_at = |address: IpAddr| {
        lab.server.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"},
            "status": {"addresses": [{"type": "Hostname", "address": "one"}, {"type": "InternalIP", "address": address}]}}));
    };
    let here = "127.0.0.1".parse().unwrap();
    node_at(here);
    opened(1);
    lab.sandbox.expect(3, &["env"]);
    let port = healthy(here);
    opened(port);
    let told = lab.sandbox.expect(0, &["env", "json"]).json();
    assert_eq!(told, json!({"v": 1, "CARDCTL_URL": format!("http://127.0.0.1:{port}")}));
    // Whoever takes an address without TLS from here may send the token there.
    let Some(address) = address_in_a_network() else { return };
    node_at(address);
    let port = healthy(address);
    opened(port);
    let told = lab.sandbox.expect(0, &["env", "json"]).json();
    let url = format!("http://{address}:{port}");
    assert_eq!(told, json!({"v": 1, "CARDCTL_URL": url, "CARDCTL_PLAIN_HTTP": address}));
}
