use nix::sys::signal::Signal;
use serde_json::Value;

use crate::place::{OPERATOR, Place};
use crate::running::Running;

async fn components(mut running: Running) -> Vec<Value> {
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended().await, Some(0));
    running.logs("\"stopped\"").await;
    let log = running.log();
    assert!(!log.contains(OPERATOR), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 3, "{log}");
    lines.into_iter().map(|line| line["component"].clone()).collect()
}

#[tokio::test]
async fn each_line_of_json_carries_the_component() {
    let place = Place::new();
    for (name, arguments, component) in [
        (Some("server-7"), &["--announce"][..], "server-7"),
        (None, &["--announce"], "server"),
        (Some("issuer"), &["issuer", "--address", "127.0.0.1:0", "--announce"], "issuer"),
        (None, &["issuer", "--address", "127.0.0.1:0", "--announce"], "issuer"),
    ] {
        let mut command = place.command(arguments);
        command.envs(name.map(|name| ("CARDCTL_COMPONENT", name)));
        let found = components(Running::start(command).await).await;
        assert!(found.iter().all(|found| found == component), "{component}: {found:?}");
    }
}
