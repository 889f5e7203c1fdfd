//! What is not ours is never trusted, followed or deleted; what is ours is for nobody else; and what the caller has open or
//! stands in is let go. As other users where the tests run as root.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cardctl::instance::{Paths, Process};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::sandbox::{Ended, Sandbox, address_in_a_network, eventually};

const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        // Visible with --nocapture and in a report of what was skipped.
        let _ = writeln!(std::io::stderr(), "skipped: only root can act as another user");
    }
    is_root
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// All that lies in a directory, itself too.
fn all(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(all(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

fn is_for_its_owner_only(dir: &Path) {
    let files = all(dir);
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.lock", "signing-key", "operator-token"] {
        assert!(files.iter().any(|path| path.ends_with(name)), "{name} is not in {files:?}");
    }
    for path in files {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{}", path.display());
    }
}

/// The program by a shell that does something first, such as setting the umask.
fn after(sandbox: &Sandbox, first: &str, arguments: &str) -> Ended {
    let script = format!("{first}; exec $CARDCTL {arguments}");
    Ended::of(sandbox.program("bash", &["-c", &script]).output().unwrap())
}

/// A server that keeps the first request that it hears.
fn listener() -> (String, std::sync::mpsc::Receiver<String>) {
    listener_at("127.0.0.1".parse().unwrap())
}

fn listener_at(address: IpAddr) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut bytes = vec![0; 4096];
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let length = stream.read(&mut bytes).unwrap_or(0);
            let _ =
                stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = tell.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
    });
    (url, heard)
}

/// A record such as `up` writes, of a live process.
fn planted(url: &str, data_dir: &Path, ephemeral: bool, pid: u32) -> Value {
    let process = Process::of(pid).unwrap();
    json!({
        "process": process, "phase": "serving", "detached": true, "url": url, "issuer_url": null, "engine": "sqlite",
        "workers": 1, "data_dir": data_dir, "ephemeral": ephemeral, "version": "0.1.0",
        "started_at": "2026-11-20T14:12:54.84245Z", "settings": {},
    })
}

#[test]
fn a_platform_keeps_everything_for_its_owner_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let sandbox = Sandbox::new();
        let ended = after(&sandbox, &format!("umask {umask}"), "up -d --port 0");
        assert_eq!(ended.code, Some(0), "umask {umask}: {}", ended.stderr);
        is_for_its_owner_only(&sandbox.paths().dir);
        for made in ["state", "state/cardctl"] {
            assert_eq!(mode(&sandbox.path().join(made)), 0o700, "umask {umask}: {made}");
        }
        sandbox.expect(0, &["down"]);
    }
}

#[test]
fn what_a_load_test_leaves_is_for_its_owner_only() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = after(&sandbox, "umask 000", "loadtest run -u 2 -d 1s --ramp 0s");
    assert!(matches!(ended.code, Some(0 | 11)), "{}", ended.stderr);
    let files = all(&sandbox.paths().dir.join("loadtests"));
    assert!(files.iter().any(|path| path.ends_with("journal.jsonl")), "{files:?}");
    for path in files {
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
}

#[test]
fn temporary_data_is_for_its_owner_only_and_goes_after_a_crash_too() {
    let sandbox = Sandbox::new();
    let ended = after(&sandbox, "umask 000", "up -d --ephemeral --port 0");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let record = sandbox.record();
    is_for_its_owner_only(&record.data_dir);
    record.process.signal(Signal::SIGKILL).unwrap();
    eventually("it is gone", || !record.process.is_alive());
    sandbox.expect(0, &["down"]);
    assert!(!record.data_dir.exists());
}

#[test]
fn a_directory_for_temporary_files_that_everybody_may_change_is_refused() {
    let sandbox = Sandbox::new();
    chmod(&sandbox.path().join("tmp"), 0o777);
    let ended = sandbox.expect(3, &["up", "-d", "--ephemeral", "--port", "0"]);
    assert!(ended.stderr.contains("can be written by everybody"), "{}", ended.stderr);
    chmod(&sandbox.path().join("tmp"), 0o1777);
    sandbox.expect(0, &["up", "-d", "--ephemeral", "--port", "0"]);
}

#[test]
fn what_an_earlier_version_left_open_to_others_is_closed() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    let dir = sandbox.paths().dir;
    chmod(&dir, 0o755);
    for name in ["ledger.db", "ledger.lock", "log", "lock"] {
        chmod(&dir.join(name), 0o666);
    }
    sandbox.up();
    is_for_its_owner_only(&dir);
}

#[test]
fn state_that_others_can_write_is_refused_with_what_helps() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    let (dir, state) = (sandbox.paths().dir, sandbox.path().join("state"));
    for (path, open, closed) in [(&dir, 0o770, 0o700), (&dir, 0o707, 0o700), (&state, 0o777, 0o700)] {
        chmod(path, open);
        for arguments in [&["up", "-d", "--port", "0"][..], &["status"], &["down"], &["down", "--purge", "--yes"]] {
            let ended = sandbox.expect(3, arguments);
            assert!(ended.stderr.contains("error[state-directory]"), "{}", ended.stderr);
            assert!(ended.stderr.contains("fix: chmod "), "{}", ended.stderr);
        }
        chmod(path, closed);
    }
    chmod(&state, 0o1777);
    sandbox.up();
}

#[test]
fn somebody_elses_record_deletes_nothing_and_gets_no_token() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
    sandbox.expect(0, &["down"]);
    let paths = sandbox.paths();
    let victims = sandbox.path().join("thesis");
    std::fs::create_dir(&victims).unwrap();
    std::fs::write(victims.join("chapter"), "one").unwrap();
    let (url, heard) = listener();
    let mut live = Command::new("sleep").arg("1000").uid(NOBODY).spawn().unwrap();
    let commands = [
        &["status"][..],
        &["submit"],
        &["env"],
        &["up", "-d", "--port", "0"],
        &["down"],
        &["down", "--purge", "--yes"],
    ];

    // In her own directory, somebody else's file: it is said, and not used.
    for (data_dir, ephemeral) in [(&paths.dir, false), (&victims, true)] {
        let plant = planted(&url, data_dir, ephemeral, live.id());
        std::fs::write(paths.record(), serde_json::to_vec(&plant).unwrap()).unwrap();
        chown(paths.record(), Some(NOBODY), None).unwrap();
        let ended = sandbox.expect(4, &["status"]);
        assert!(ended.stderr.contains("instance.json is owned by user 65534"), "{}", ended.stderr);
        sandbox.expect(0, &["down"]);
    }

    // A directory of somebody else's, around the instances or one of them: nothing in it is looked at.
    for foreign in [paths.dir.parent().unwrap(), &paths.dir] {
        let plant = planted(&url, &victims, true, live.id());
        std::fs::write(paths.record(), serde_json::to_vec(&plant).unwrap()).unwrap();
        chown(foreign, Some(NOBODY), None).unwrap();
        for arguments in commands {
            let ended = sandbox.expect(3, arguments);
            assert!(ended.stderr.contains("is owned by user 65534, not by you"), "{arguments:?}: {}", ended.stderr);
        }
        chown(foreign, Some(0), None).unwrap();
        let _ = std::fs::remove_file(paths.record());
    }

    // A record of her own that names a process of somebody else's: that one does not serve her.
    let plant = planted(&url, &paths.dir, false, live.id());
    std::fs::write(paths.record(), serde_json::to_vec(&plant).unwrap()).unwrap();
    sandbox.expect(4, &["status"]);
    live.kill().unwrap();
    live.wait().unwrap();
    assert!(heard.try_iter().all(|request| !request.contains(token.trim())), "the token was sent");
    assert!(victims.join("chapter").exists());
}

#[test]
fn a_record_that_names_another_directory_deletes_nothing() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    sandbox.expect(0, &["down"]);
    let (paths, victims) = (sandbox.paths(), sandbox.path().join("thesis"));
    std::fs::create_dir(&victims).unwrap();
    let mut plant = planted(&record.url, &victims, true, std::process::id());
    plant["process"]["started"] = json!(1);
    for command in [&["down"][..], &["up", "-d", "--port", "0"]] {
        std::fs::write(paths.record(), serde_json::to_vec(&plant).unwrap()).unwrap();
        sandbox.expect(0, command);
        assert!(victims.exists(), "{command:?}");
    }
}

#[test]
fn a_token_is_not_sent_where_a_record_leads_without_tls() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let (paths, mut record) = (sandbox.paths(), sandbox.record());
    let url = std::mem::replace(&mut record.url, "http://198.51.100.7:7400".to_owned());
    record.store(&paths).unwrap();
    let ended = sandbox.expect(3, &["tasks", "list"]);
    assert!(ended.stderr.contains("not sent away from this machine"), "{}", ended.stderr);
    record.url = url;
    record.store(&paths).unwrap();
    sandbox.expect(0, &["tasks", "list"]);
}

#[test]
fn planted_secrets_are_refused_and_links_are_not_written_through() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    sandbox.expect(0, &["down"]);
    let (key, token) = (Paths::signing_key(&record.data_dir), Paths::operator_token(&record.data_dir));
    for secret in [&key, &token] {
        chmod(secret, 0o640);
        let ended = sandbox.expect(3, &["up", "-d", "--port", "0"]);
        assert!(ended.stderr.contains(&format!("fix: chmod 600 {}", secret.display())), "{}", ended.stderr);
        chmod(secret, 0o600);
    }
    let elsewhere = sandbox.path().join("elsewhere");
    std::fs::rename(&key, &elsewhere).unwrap();
    symlink(&elsewhere, &key).unwrap();
    let ended = sandbox.expect(3, &["up", "-d", "--port", "0"]);
    assert!(ended.stderr.contains("is a symbolic link"), "{}", ended.stderr);
    std::fs::remove_file(&key).unwrap();
    // Where a temporary file used to be: whatever it leads to is not touched.
    let precious = sandbox.path().join("precious");
    std::fs::write(&precious, "mine").unwrap();
    symlink(&precious, record.data_dir.join("signing-key.new")).unwrap();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
    if is_root() {
        chown(&key, Some(NOBODY), None).unwrap();
        let ended = sandbox.expect(3, &["up", "-d", "--port", "0"]);
        assert!(ended.stderr.contains("is owned by user 65534"), "{}", ended.stderr);
        chown(&key, Some(0), None).unwrap();
        chown(Paths::ledger(&record.data_dir), Some(NOBODY), None).unwrap();
        sandbox.expect(3, &["up", "-d", "--port", "0"]);
    }
}

#[test]
fn a_secret_that_a_variable_names_is_refused_if_others_can_read_it() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    let token = sandbox.path().join("token");
    std::fs::copy(Paths::operator_token(&record.data_dir), &token).unwrap();
    let with = |url: &str| {
        let mut command = sandbox.command(&["-t", url, "tasks", "list"]);
        Ended::of(command.env("CARDCTL_OPERATOR_TOKEN_FILE", &token).output().unwrap())
    };
    chmod(&token, 0o644);
    let ended = with(&record.url);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("fix: chmod 600 {}", token.display())), "{}", ended.stderr);
    chmod(&token, 0o600);
    assert_eq!(with(&record.url).code, Some(0));
    // What a shell makes of <(…) is a pipe.
    let script =
        format!("CARDCTL_OPERATOR_TOKEN_FILE=<(cat {}) exec $CARDCTL -t {} tasks list", token.display(), record.url);
    let ended = Ended::of(sandbox.program("bash", &["-c", &script]).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_projects_file_that_others_could_have_written_is_ignored_and_said() {
    let sandbox = Sandbox::new();
    let file = sandbox.work().join("cardctl.toml");
    std::fs::write(&file, "[server]\nport = 7555\n").unwrap();
    let ports = || {
        let ended = sandbox.expect(0, &["config", "show", "-o", "json"]);
        (ended.json()["settings"]["server.port"]["value"].as_u64().unwrap(), ended.stderr)
    };
    assert_eq!(ports(), (7555, String::new()));
    chmod(&file, 0o666);
    let (port, said) = ports();
    assert_eq!(port, 7400);
    assert!(said.contains("cardctl.toml is ignored: it can be written by everybody"), "{said}");
    assert!(sandbox.expect(0, &["config", "path"]).stdout.contains("(ignored: it can be written by everybody"));
    chmod(&file, 0o644);
    if is_root() {
        chown(&file, Some(NOBODY), None).unwrap();
        let (port, said) = ports();
        assert_eq!(port, 7400);
        assert!(said.contains("it is owned by user 65534"), "{said}");
        let mut command = sandbox.command(&["config", "show", "-o", "json"]);
        let shown = Ended::of(command.env("SUDO_UID", NOBODY.to_string()).output().unwrap()).json();
        assert_eq!(shown["settings"]["server.port"]["value"], 7555, "theirs who called by sudo");
    }
}

#[test]
fn a_projects_file_is_looked_for_up_to_the_repository_and_no_further() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("cardctl.toml"), "[server]\nport = 7555\n").unwrap();
    let port =
        || sandbox.expect(0, &["config", "show", "-o", "json"]).json()["settings"]["server.port"]["value"].clone();
    assert_eq!(port(), 7555);
    std::fs::create_dir(sandbox.work().join(".git")).unwrap();
    assert_eq!(port(), 7400);
}

#[test]
fn a_project_names_a_server_and_gets_no_token_for_it() {
    let sandbox = Sandbox::new();
    let (url, heard) = listener();
    std::fs::write(sandbox.work().join("cardctl.toml"), format!("target = '{url}'\n")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        Ended::of(command.env("CARDCTL_OPERATOR_TOKEN", "op_of_the_user_0123456789").output().unwrap())
    };
    let ended = run(&["status"]);
    assert!(ended.stderr.contains(&format!("cardctl.toml sets target = \"{url}\"")), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("the operator token is not sent to {url}")), "{}", ended.stderr);
    run(&["tasks", "list"]);
    run(&["dlq", "list"]);
    let requests: Vec<_> = heard.try_iter().collect();
    assert!(!requests.is_empty() && requests.iter().all(|request| !request.contains("op_of_the_user")), "{requests:?}");
    run(&["-t", &url, "dlq", "list"]);
    assert!(heard.try_iter().any(|request| request.contains("op_of_the_user")), "who says it gets it");
}

#[test]
fn a_token_goes_without_tls_only_where_the_user_lets_it() {
    const TOKEN: &str = "op_of_the_user_0123456789";
    let Some(address) = address_in_a_network() else {
        let _ = writeln!(std::io::stderr(), "skipped: this machine is in no network");
        return;
    };
    let sandbox = Sandbox::new();
    let (url, heard) = listener_at(address);
    let run = |line: &[&str], variables: &[(&str, &str)]| {
        let mut command = sandbox.command(line);
        command.env("CARDCTL_OPERATOR_TOKEN", TOKEN).envs(variables.iter().copied());
        Ended::of(command.output().unwrap())
    };
    // Whatever the command: not one byte is sent.
    for line in [
        &["tasks", "list"][..],
        &["submit"],
        &["watch", "--all"],
        &["dlq", "list"],
        &["queue", "pause"],
        &["users", "clean", "--run", "r"],
        &["smoke"],
        &["loadtest", "run", "smoke"],
        &["status"],
        &["doctor"],
    ] {
        let ended = run(&[&["-t", &url][..], line].concat(), &[("CARDCTL_PLAIN_HTTP", "server, 198.51.100.7")]);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(&format!("is not sent to {address} without TLS")), "{line:?}: {told}");
        assert!(told.contains(&format!("CARDCTL_PLAIN_HTTP={address}")), "{line:?}: {told}");
        // Doctor looks at more than that.
        let exits = if line == ["status"] { &[4][..] } else { &[3] };
        assert!(exits.contains(&ended.code.unwrap()), "{line:?}: {:?} {told}", ended.code);
        assert_eq!(heard.try_iter().next(), None, "{line:?}");
    }
    // Nor to the issuer, whose address is another.
    let running = Sandbox::new();
    let record = running.up();
    let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
    let mut command = sandbox.command(&["-t", &record.url, "smoke"]);
    command.env("CARDCTL_OPERATOR_TOKEN", token.trim()).env("CARDCTL_ISSUER_URL", &url);
    let ended = Ended::of(command.output().unwrap());
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains("without TLS"), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(heard.try_iter().next(), None);
    // A project can't say it, the user can.
    let project = sandbox.work().join("cardctl.toml");
    std::fs::write(&project, format!("plain-http = '{address}'\n")).unwrap();
    assert_eq!(run(&["-t", &url, "tasks", "list"], &[]).code, Some(2));
    std::fs::remove_file(project).unwrap();
    let host = address.to_string();
    for (line, variables) in [
        (&["-t", &url, "--plain-http", &host, "tasks", "list"][..], &[][..]),
        (&["-t", &url, "tasks", "list"], &[("CARDCTL_PLAIN_HTTP", &*host)]),
    ] {
        run(line, variables);
        assert!(heard.try_iter().any(|request| request.contains(TOKEN)), "{line:?}");
    }
    // Without a token there is nothing to keep.
    sandbox.run(&["-t", &url, "status"]);
    assert!(heard.try_iter().next().is_some());
    for wrong in ["http://server", "server:7400"] {
        assert_eq!(run(&["-t", &url, "status", "--plain-http", wrong], &[]).code, Some(2), "{wrong}");
        let ended = run(&["-t", &url, "status"], &[("CARDCTL_PLAIN_HTTP", wrong)]);
        assert!(ended.code == Some(2) && ended.stderr.contains("must be a host alone"), "{}", ended.stderr);
    }
}

#[test]
fn a_project_that_opens_the_machine_is_named_and_so_is_where_it_listens() {
    let sandbox = Sandbox::new();
    let settings = "[server]\naddress = '0.0.0.0'\n[worker.issuer]\nurl = 'http://127.0.0.1:9'\n";
    std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
    let ended = sandbox.expect(0, &["up", "-d", "--port", "0"]);
    assert!(ended.stderr.contains("cardctl.toml sets server.address = \"0.0.0.0\""), "{}", ended.stderr);
    assert!(ended.stderr.contains("cardctl.toml sets worker.issuer.url = \"http://127.0.0.1:9\""), "{}", ended.stderr);
    assert!(ended.stdout.contains("\n  listens 0.0.0.0:"), "{}", ended.stdout);
    let document = sandbox.expect(0, &["up", "-d", "--port", "0", "-o", "json"]).json();
    assert_eq!(document["listens"], format!("0.0.0.0:{}", sandbox.record().port()));
}

#[test]
fn a_purge_deletes_all_of_it_or_says_that_it_did_not() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    let (dir, elsewhere) = (sandbox.paths().dir, sandbox.path().join("disk"));
    let refused = |what: &str| {
        let before = all(&dir.canonicalize().unwrap());
        let ended = sandbox.expect(3, &["down", "--purge", "--yes", "-o", "json"]);
        assert!(!ended.stdout.contains("purged\": true"), "{what}: {}", ended.stdout);
        assert_eq!(all(&dir.canonicalize().unwrap()), before, "{what}: nothing is deleted then");
        ended.stderr
    };
    // The directory itself, moved to another disk.
    std::fs::rename(&dir, &elsewhere).unwrap();
    symlink(&elsewhere, &dir).unwrap();
    let said = refused("a link to the directory");
    assert!(said.contains(&format!("is a symbolic link to {}", elsewhere.display())), "{said}");
    std::fs::remove_file(&dir).unwrap();
    std::fs::rename(&elsewhere, &dir).unwrap();
    // Something in it.
    std::fs::create_dir(dir.join("loadtests")).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("journal"), "lines").unwrap();
    symlink(&elsewhere, dir.join("loadtests/run")).unwrap();
    let said = refused("a link in it");
    assert!(said.contains("error[not-purged]") && said.contains("loadtests/run is a symbolic link"), "{said}");
    std::fs::remove_file(dir.join("loadtests/run")).unwrap();
    assert!(elsewhere.join("journal").exists());
    // Another process has the ledger.
    let lock = std::fs::File::open(dir.join("ledger.lock")).unwrap();
    lock.lock().unwrap();
    let said = refused("an open ledger");
    assert!(said.contains("another process has the ledger open"), "{said}");
    lock.unlock().unwrap();
    // Nothing that cardctl made, whatever it is called.
    std::fs::remove_file(dir.join(".made-by-cardctl")).unwrap();
    std::fs::remove_file(dir.join("lock")).unwrap();
    let said = refused("somebody's directory");
    assert!(said.contains("not created by cardctl"), "{said}");
    sandbox.up();
    // A state home that is a link leads to what is meant.
    sandbox.expect(0, &["down"]);
    let (state, real) = (sandbox.path().join("state"), sandbox.path().join("real"));
    std::fs::rename(&state, &real).unwrap();
    symlink(&real, &state).unwrap();
    assert_eq!(sandbox.expect(0, &["down", "--purge", "--yes", "-o", "json"]).json()["purged"], true);
    assert!(!real.join("cardctl").exists());
}

#[test]
fn a_purge_that_is_done_in_part_names_what_is_left_and_goes_on_later() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    let dir = sandbox.paths().dir;
    let (results, kept) = (dir.join("loadtests"), dir.join("loadtests/kept"));
    std::fs::create_dir(&results).unwrap();
    std::fs::write(&kept, "a result").unwrap();
    // Root may delete what it may not change.
    let immutable = |flag: &str| {
        Command::new("chattr").args([flag, kept.to_str().unwrap()]).status().is_ok_and(|status| status.success())
    };
    if is_root() && !immutable("+i") {
        let _ = writeln!(std::io::stderr(), "skipped: no file of this file system can be made immutable");
        return;
    }
    if !is_root() {
        chmod(&results, 0o500);
    }
    let ended = sandbox.run(&["down", "--purge", "--yes", "-o", "json"]);
    let left = kept.exists();
    if is_root() {
        assert!(immutable("-i"));
    } else {
        chmod(&results, 0o700);
    }
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "not-purged", "{error}");
    assert!(error["message"].as_str().unwrap().contains("only partly deleted"), "{error}");
    let remains = error["evidence"].as_array().unwrap();
    assert!(remains.contains(&json!(format!("{} still exists", kept.display()))), "{error}");
    assert!(error["left"].as_str().unwrap().contains("part of its data is deleted"), "{error}");
    assert!(left);
    sandbox.expect(0, &["down", "--purge", "--yes"]);
    assert!(!dir.exists());
}

#[test]
fn a_purge_leaves_what_another_up_has_taken_meanwhile() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    sandbox.expect(0, &["down"]);
    let paths = sandbox.paths();
    // A platform that ends at once when it is told to, and another that has the lock by then.
    let mut ending = Command::new("sleep").arg("1000").spawn().unwrap();
    let plant = planted(&record.url, &paths.dir, false, ending.id());
    std::fs::write(paths.record(), serde_json::to_vec(&plant).unwrap()).unwrap();
    let lock = std::fs::File::open(paths.lock()).unwrap();
    lock.lock().unwrap();
    let reaped = std::thread::spawn(move || ending.wait().unwrap());
    let before = all(&paths.dir);
    let ended = sandbox.expect(3, &["down", "--purge", "--yes"]);
    assert!(ended.stderr.contains("another up started meanwhile"), "{}", ended.stderr);
    assert!(ended.stderr.contains("the running platform was not changed"), "{}", ended.stderr);
    assert_eq!(all(&paths.dir), before);
    reaped.join().unwrap();
    lock.unlock().unwrap();
    sandbox.expect(0, &["down", "--purge", "--yes"]);
    assert!(!paths.dir.exists());
}

#[test]
fn a_purge_leaves_a_file_system_that_is_mounted_in_it_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["down"]);
    let results = sandbox.paths().dir.join("loadtests");
    std::fs::create_dir(&results).unwrap();
    let mounted = |program: &str, options: &[&str]| {
        Command::new(program).args(options).arg(&results).status().is_ok_and(|status| status.success())
    };
    if !is_root() || !mounted("mount", &["-t", "tmpfs", "tmpfs"]) {
        return;
    }
    let ended = sandbox.run(&["down", "--purge", "--yes"]);
    let left = results.is_dir();
    assert!(mounted("umount", &["--lazy"]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("loadtests is a mount point"), "{}", ended.stderr);
    assert!(left);
    sandbox.expect(0, &["down", "--purge", "--yes"]);
}

#[test]
fn a_lock_that_the_caller_holds_is_free_once_up_has_returned() {
    let sandbox = Sandbox::new();
    // What a shell has open goes to whatever it starts.
    let script = "flock -n L $CARDCTL up -d --port 0 && flock -n L true && echo free";
    let ended = Ended::of(sandbox.program("bash", &["-c", script]).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.ends_with("free\n"), "{}", ended.stdout);
    // Nor is a pipe kept open, whatever its number, nor the directory that the caller stood in.
    let script = "exec 7> >(cat >/dev/null; echo closed >> closed); $CARDCTL up -d --port 0 --restart; exec 7>&-";
    assert_eq!(Ended::of(sandbox.program("bash", &["-c", script]).output().unwrap()).code, Some(0));
    eventually("the reader of the pipe sees its end", || sandbox.work().join("closed").exists());
    let process = sandbox.record().process;
    let at = std::fs::read_link(format!("/proc/{}/cwd", process.pid)).unwrap();
    assert_eq!(at, Path::new("/"));
}

#[test]
fn a_relative_place_for_temporary_files_means_the_callers() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.work().join("here")).unwrap();
    let mut command = sandbox.command(&["up", "-d", "--ephemeral", "--port", "0"]);
    let ended = Ended::of(command.env("TMPDIR", "here").output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(sandbox.record().data_dir.starts_with(sandbox.work().join("here").canonicalize().unwrap()));
}

#[test]
fn a_server_elsewhere_needs_no_home() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    for (name, value) in [("HOME", None), ("HOME", Some("relative"))] {
        let mut command = sandbox.command(&["-t", &record.url, "tasks", "list"]);
        command.env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME").env_remove("HOME");
        if let Some(value) = value {
            command.env(name, value);
        }
        let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
        let ended = Ended::of(command.env("CARDCTL_OPERATOR_TOKEN", token.trim()).output().unwrap());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    // What needs a place says so, and nothing lies in the working directory that would be taken for it.
    let mut command = sandbox.command(&["status"]);
    let ended = Ended::of(command.env_remove("XDG_STATE_HOME").env_remove("HOME").output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
}
