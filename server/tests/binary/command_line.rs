use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::place::{Ended, OPERATOR, Place};

const DATABASE: (&str, &str) = ("CARDCTL_DATABASE", "postgres://card:hunter2@127.0.0.1:1/card");
const REDIS: (&str, &str) = ("CARDCTL_REDIS", "redis://:hunter2@127.0.0.1:1/0");

#[tokio::test]
async fn help_explains_flags_variables_and_exit_codes_by_example() {
    let place = Place::new();
    for (arguments, words) in [
        (
            &["--help"][..],
            &["migrate", "issuer", "--ledger", "CARDCTL_SIGNING_KEY_FILE", "CARDCTL_DATABASE_FILE", "Exit codes"][..],
        ),
        (&["serve", "--help"], &["--workers", "--reuse-port", "--tied", "--announce", "CARDCTL_LEDGER"]),
        (&["migrate", "--help"], &["CARDCTL_DATABASE_FILE"]),
        (&["issuer", "--help"], &["127.0.0.1:7500", "--tied", "--announce", "CARDCTL_OPERATOR_TOKEN_FILE"]),
    ] {
        let help = Ended::of(place.bare(arguments)).await;
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        for word in words.iter().chain(&["Usage: card-server", "Examples:\n  card-server"]) {
            assert!(help.stdout.contains(word), "{word} is not in\n{}", help.stdout);
        }
    }
    let version = Ended::of(place.bare(&["--version"])).await;
    assert_eq!(version.stdout, format!("card-server {}\n", card_core::VERSION));
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_a_mistake_of_usage() {
    let place = Place::new();
    for arguments in
        [&["--port", "1"][..], &["serve", "--workers", "many"], &["start"], &["issuer", "--address", "here"]]
    {
        let ended = Ended::of(place.bare(arguments)).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn missing_and_weak_secrets_are_named_before_anything_is_made() {
    let place = Place::new();
    let nothing = Ended::of(place.bare(&[])).await;
    assert!(
        nothing.not_ready().starts_with("CARDCTL_SIGNING_KEY is not set; set CARDCTL_SIGNING_KEY_FILE"),
        "{}",
        nothing.stderr
    );
    for (name, value, reason) in [
        ("CARDCTL_OPERATOR_TOKEN_FILE", "/nowhere/token", "CARDCTL_OPERATOR_TOKEN_FILE: /nowhere/token: "),
        ("CARDCTL_OPERATOR_TOKEN", "", "CARDCTL_OPERATOR_TOKEN is not set"),
        ("CARDCTL_OPERATOR_TOKEN", "short", "the operator token must have"),
        ("CARDCTL_SIGNING_KEY", "short", "the signing key must have"),
    ] {
        let mut command = place.command(&[]);
        command.env(name, value);
        let ended = Ended::of(command).await;
        assert!(ended.not_ready().starts_with(reason), "{}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_refused() {
    let place = Place::new();
    let token = place.file("token", OPERATOR);
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = place.command(&[]);
    command.env_remove("CARDCTL_OPERATOR_TOKEN").env("CARDCTL_OPERATOR_TOKEN_FILE", &token);
    let ended = Ended::of(command).await;
    let wanted =
        format!("CARDCTL_OPERATOR_TOKEN_FILE: {0} can be read by others (mode 644); chmod 600 {0}", token.display());
    assert!(ended.not_ready().starts_with(&wanted), "{}", ended.stderr);
}

#[tokio::test]
async fn a_ledger_is_for_its_owner_only_whatever_the_umask() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_card-server");
    let mut command = place.program("sh", &["-c", &format!("umask 000; exec {program} --ledger new.db --announce")]);
    command.env("CARDCTL_SIGNING_KEY", "k".repeat(64)).env("CARDCTL_OPERATOR_TOKEN", OPERATOR);
    for empty in [
        "CARDCTL_WORKERS",
        "CARDCTL_CONFIG",
        "CARDCTL_LEDGER",
        "CARDCTL_REDIS",
        "CARDCTL_LOG_LEVEL",
        "PGPORT",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TOKIO_WORKER_THREADS",
    ] {
        command.env(empty, "");
    }
    command.env("CARDCTL_SERVER_PORT", "0");
    let server = crate::running::Running::start(command).await;
    for name in ["new.db", "new.db-wal", "new.db-shm", "new.lock"] {
        let mode = std::fs::metadata(place.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_ledger_that_is_a_link_is_not_followed() {
    let place = Place::new();
    let target = place.file("precious", "");
    std::os::unix::fs::symlink(&target, place.path().join("cards.db")).unwrap();
    let ended = Ended::of(place.command(&["--ledger", "cards.db"])).await;
    assert!(ended.not_ready().contains("cards.db is a symbolic link to "), "{}", ended.stderr);
    assert_eq!(std::fs::read(target).unwrap(), b"");
}

#[tokio::test]
async fn a_ledger_and_a_cluster_are_not_both_served() {
    let place = Place::new();
    for flag in [&["--ledger", "cards.db"][..], &["serve", "--ledger", "cards.db"]] {
        let mut command = place.command(flag);
        command.envs([DATABASE, REDIS]);
        let ended = Ended::of(command).await;
        assert!(ended.not_ready().contains("leave out --ledger and CARDCTL_LEDGER, or unset CARDCTL_DATABASE"));
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let mut command = place.command(&[]);
    command.envs([DATABASE, REDIS]).env("CARDCTL_LEDGER", "cards.db");
    assert!(Ended::of(command).await.not_ready().contains("CARDCTL_LEDGER"));
    assert!(!place.path().join("cards.db").exists());
}

#[tokio::test]
async fn half_a_cluster_names_the_other_half_and_no_password() {
    let place = Place::new();
    for (given, missing) in [(DATABASE, "CARDCTL_REDIS"), (REDIS, "CARDCTL_DATABASE")] {
        let file = place.file("address", given.1);
        for as_file in [false, true] {
            let mut command = place.command(&[]);
            match as_file {
                true => command.env(format!("{}_FILE", given.0), &file),
                false => command.env(given.0, given.1),
            };
            let ended = Ended::of(command).await;
            assert!(ended.not_ready().ends_with(&format!("set {missing}_FILE or {missing}")), "{}", ended.stderr);
            assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        }
    }
    let migrate = Ended::of(place.bare(&["migrate"])).await;
    assert!(migrate.not_ready().starts_with("CARDCTL_DATABASE is not set; set CARDCTL_DATABASE_FILE"));
}

#[tokio::test]
async fn settings_that_can_not_be_used_are_named_with_their_source() {
    let place = Place::new();
    let file = place.file("cards.toml", "[server]\nprot = 1\n");
    let file = file.to_str().unwrap();
    for (arguments, variable, reason) in [
        (&["--config", "missing.toml"][..], ("X", "1"), "--config missing.toml: no such file"),
        (&["--config", file], ("X", "1"), "did you mean \"server.port\"?"),
        (&[], ("CARDCTL_SERVER_PORT", "many"), "$CARDCTL_SERVER_PORT: server.port: must be a whole number"),
        (&["issuer"], ("CARDCTL_ISSUER_ERROR_RATE", "2"), "$CARDCTL_ISSUER_ERROR_RATE: issuer.error-rate"),
        (&[], ("CARDCTL_LOG_LEVEL", "loud=quiet=no"), "log.level"),
    ] {
        let mut command = place.command(arguments);
        command.env(variable.0, variable.1);
        let ended = Ended::of(command).await;
        assert!(ended.not_ready().contains(reason), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn secrets_come_from_files_with_a_line_end() {
    let place = Place::new();
    let (key, token) =
        (place.file("key", &format!("{}\n", "k".repeat(64))), place.file("token", &format!("{OPERATOR}\n")));
    let mut command = place.bare(&["--announce"]);
    command
        .env("CARDCTL_SIGNING_KEY_FILE", key)
        .env("CARDCTL_OPERATOR_TOKEN_FILE", token)
        .env("CARDCTL_SERVER_PORT", "0");
    let server = crate::running::Running::start(command).await;
    assert_eq!(server.get("/api/v1/stats").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_migration_waits_for_postgres_no_longer_than_it_was_told_and_stops_when_asked() {
    let place = Place::new();
    let mut command = place.bare(&["migrate", "--wait", "50ms"]);
    command.envs([DATABASE]);
    let ended = Ended::of(command).await;
    assert!(ended.stderr.contains("waiting for Postgres"), "{}", ended.stderr);
    assert!(ended.stderr.trim_end().ends_with("tried for 50ms"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(3));
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);

    let mut command = place.bare(&["migrate", "--wait", "10m"]);
    let mut child = command.envs([DATABASE]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(stderr.next_line().await.unwrap().unwrap().contains("waiting for Postgres"));
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let asked = stderr.next_line().await.unwrap().unwrap();
    assert!(asked.starts_with("error: stopped before"), "{asked}");
    assert_eq!(child.wait().await.unwrap().code(), Some(3));
}
