//! What is refused before anything starts; needs no server.

use std::net::TcpListener;

use cardctl::instance::Paths;

use crate::sandbox::{Ended, Sandbox};

/// Addresses where nobody is.
const NOWHERE: [&str; 4] = ["--database", "postgres://card@127.0.0.1:1/cards", "--redis", "redis://127.0.0.1:1"];

#[test]
fn a_password_in_a_flag_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    let database = "postgres://card:hunter2@127.0.0.1:1/cards";
    insta::assert_snapshot!(sandbox.transcript(&["up", "-d", "--database", database]));
    for arguments in [
        &["up", "-d", "--database", database, "--redis", "redis://127.0.0.1:1"][..],
        &["up", "-d", "-t", "processes", "--redis", "redis://:hunter2@127.0.0.1:1", "--database", "postgres://db"],
    ] {
        let ended = sandbox.expect(2, arguments);
        assert!(
            ended.stderr.contains("error[password-in-flag]") && ended.stderr.contains("leave out --"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    sandbox.assert_nothing_runs();
}

#[test]
fn without_addresses_both_are_named() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("no_addresses", sandbox.transcript(&["up", "-d", "-t", "processes"]));
    insta::assert_snapshot!("one_address", sandbox.transcript(&["up", "-d", "--redis", "redis://cache"]));
    sandbox.assert_nothing_runs();
}

#[test]
fn a_postgres_that_can_not_be_reached_is_named_without_its_password() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["up", "-d", "-t", "processes", "--port", "0"]);
    command
        .env("CARDCTL_DATABASE", "postgres://card:hunter2@127.0.0.1:1/cards")
        .env("CARDCTL_REDIS", "redis://127.0.0.1:1");
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("error[database-unreachable]: Postgres can't be reached at 127.0.0.1:1/cards"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("fix:") && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let log = std::fs::read_to_string(sandbox.paths().log()).unwrap();
    assert!(!log.contains("hunter2"), "{log}");
    sandbox.assert_nothing_runs();
    assert!(!sandbox.paths().record().exists());
}

#[test]
fn a_busy_port_that_was_asked_for_names_its_holder_before_anything_starts() {
    let sandbox = Sandbox::new();
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let arguments = [&["up", "-d", "--port", &port][..], &NOWHERE].concat();
    let ended = sandbox.expect(3, &arguments);
    assert!(ended.stderr.contains("error[port-busy]"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("process {}", std::process::id())), "{}", ended.stderr);
    sandbox.assert_nothing_runs();
}

#[test]
fn flags_of_another_target_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.expect(2, &[&["up", "-d", "--ephemeral"][..], &NOWHERE].concat());
    sandbox.expect(2, &[&["-t", "embedded", "up", "-d"][..], &NOWHERE].concat());
    for flags in [["--servers", "2"], ["--autoscale", "1..4"]] {
        let ended = sandbox.expect(2, &[&["up", "-d"][..], &flags].concat());
        assert!(ended.stderr.contains("-t processes"), "{}", ended.stderr);
    }
    sandbox.expect(2, &[&["up", "-d", "--workers", "2", "--autoscale", "1..4"][..], &NOWHERE].concat());
    sandbox.expect(2, &[&["up", "-d", "--autoscale", "4..1"][..], &NOWHERE].concat());
    assert!(!Paths::operator_token(&sandbox.paths().dir).exists(), "nothing was made");
}

#[test]
fn an_embedded_platform_says_how_it_is_scaled() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("scale_down_here", sandbox.transcript(&["scale", "workers=2"]));
    sandbox.up();
    insta::assert_snapshot!("scale_embedded", sandbox.transcript(&["scale", "workers=2"]));
    insta::assert_snapshot!("scale_mistaken", sandbox.transcript(&["scale", "wrokers=2"]));
}

#[test]
fn the_children_are_not_commands() {
    let sandbox = Sandbox::new();
    for program in ["card-server", "card-worker"] {
        let ended = sandbox.expect(0, &[program, "--help"]);
        assert!(ended.stdout.contains(program), "{}", ended.stdout);
        assert!(!sandbox.expect(0, &["--help"]).stdout.contains(program));
    }
}
