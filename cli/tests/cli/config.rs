use crate::sandbox::{Ended, Sandbox};

#[test]
fn every_value_names_its_source() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path().join("config/cardctl")).unwrap();
    std::fs::write(sandbox.path().join("config/cardctl/config.toml"), "[log]\nlevel = 'warn'\n[server]\nport = 1\n")
        .unwrap();
    std::fs::write(sandbox.work().join("cardctl.toml"), "[server]\nport = 7500\n").unwrap();
    let inner = sandbox.work().join("deep/er");
    std::fs::create_dir_all(&inner).unwrap();
    let mut command = sandbox.command(&["--instance", "two", "config", "show", "-o", "json"]);
    let shown = Ended::of(command.current_dir(inner).env("CARDCTL_WORKER_CONCURRENCY", "8").output().unwrap()).json();
    let origin = |key: &str| shown["settings"][key]["origin"].as_str().unwrap().to_owned();
    assert!(origin("log.level").ends_with("config/cardctl/config.toml"));
    assert!(origin("server.port").ends_with("work/cardctl.toml"), "searched upward");
    assert_eq!(shown["settings"]["server.port"]["value"], 7500);
    assert_eq!(origin("worker.concurrency"), "$CARDCTL_WORKER_CONCURRENCY");
    assert_eq!(origin("instance"), "--instance");
    assert_eq!(origin("worker.lease"), "built in");
}

#[test]
fn the_settings_are_shown_as_a_table() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["config", "show"]));
}

#[test]
fn the_places_are_named() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["config", "path"]));
}

#[test]
fn an_unknown_setting_names_the_nearest() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.work().join("cardctl.toml"), "[server]\nprot = 7500\n").unwrap();
    insta::assert_snapshot!(sandbox.transcript(&["config", "show"]));
}
