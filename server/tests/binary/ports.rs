use std::collections::BTreeSet;

use reqwest::Method;

use crate::place::{Ended, OPERATOR, Place};
use crate::running::{Running, answer, eventually};

#[tokio::test]
async fn servers_that_all_say_so_share_one_port() {
    let (one, other) = (Place::new(), Place::new());
    let first = one.start(&["--reuse-port"]).await;
    let port = first.said.address.port().to_string();
    let mut command = other.command(&["serve", "--reuse-port", "--announce"]);
    command.env("CARDCTL_SERVER_PORT", &port).env("CARDCTL_OPERATOR_TOKEN", "op_of_the_other_server");
    let second = Running::start(command).await;
    assert_eq!(second.said.address, first.said.address);
    // Each knows its own operator: who answers a new connection is told by what it says to this one.
    let mut statuses = BTreeSet::new();
    eventually("both answer", async || {
        statuses.insert(answer(first.request(Method::GET, "/api/v1/stats").bearer_auth(OPERATOR)).await.0);
        statuses.len() == 2
    })
    .await;
    assert_eq!(statuses, [200, 401].into());

    let place = Place::new();
    let mut command = place.command(&[]);
    command.env("CARDCTL_SERVER_PORT", &port);
    let third = Ended::of(command).await;
    let reason = third.not_ready();
    assert!(reason.contains(&port) && reason.contains("CARDCTL_SERVER_PORT"), "{reason}");

    first.stop().await;
    assert_eq!(second.get("/health").await.0, 200, "the other goes on alone");
    second.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_no_ledger_is_made() {
    let place = Place::new();
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let mut command = place.command(&[]);
    command.env("CARDCTL_SERVER_PORT", &port);
    let ended = Ended::of(command).await;
    assert!(ended.not_ready().starts_with(&format!("127.0.0.1:{port}: ")), "{}", ended.stderr);
    let issuer = Ended::of(place.command(&["issuer", "--address", &format!("127.0.0.1:{port}")])).await;
    assert!(issuer.not_ready().ends_with("give another --address"), "{}", issuer.stderr);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
