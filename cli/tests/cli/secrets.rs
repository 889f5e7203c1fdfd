//! What the program was given in confidence, or what others were, is on no stream, in no document and in no file of state.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kubernetes::{IMAGES, Lab};
use crate::sandbox::{Ended, Sandbox};

const SECRET: &str = "hunter2secret";

fn assert_kept(ended: &Ended, line: &str) {
    assert!(
        !ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET),
        "{line}\n{}\n{}",
        ended.stdout,
        ended.stderr
    );
}

/// Whether a file below holds it.
fn is_in(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.filter_map(Result::ok).map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => is_in(&path),
        false => std::fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(SECRET)),
    })
}

#[test]
fn a_plugin_that_fails_is_named_and_what_it_was_given_is_not_shown() {
    let lab = Lab::new("lab");
    let plugin = lab.sandbox.path().join("lab-login");
    std::fs::write(&plugin, "#!/bin/sh\necho \"$2\"\nexit 3\n").unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let exec = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: {}, interactiveMode: Never, \
         args: [--client-secret, {SECRET}], env: [{{name: AWS_SECRET_ACCESS_KEY, value: {SECRET}}}, {{name: PLAIN, value: {SECRET}}}]}}",
        plugin.display()
    );
    let text = std::fs::read_to_string(lab.kubeconfig()).unwrap().replace("user: {}", &format!("user: {{{exec}}}"));
    assert!(text.contains(SECRET));
    lab.write_kubeconfig(&text);
    for command in [&["status"][..], &["doctor"], &["up", "-d"], &["down"], &["logs"], &["scale", "servers=2"]] {
        for format in ["text", "json"] {
            let line = [&["-t", "kube", "--context", "lab", "-o", format], command].concat();
            let ended = lab.sandbox.run(&line);
            assert_ne!(ended.code, Some(0), "{line:?}");
            assert_kept(&ended, &line.join(" "));
            if command == ["status"] || command == ["doctor"] {
                let said = format!("{}{}", ended.stdout, ended.stderr);
                assert!(said.contains("lab-login"), "{line:?}\n{said}");
            }
        }
    }
    assert!(!is_in(&lab.sandbox.path().join("state")));
}

#[test]
fn an_address_with_a_password_is_a_mistake_and_is_shown_nowhere() {
    let sandbox = Sandbox::new();
    let address = format!("http://user:{SECRET}@127.0.0.1:1");
    for command in [&["status"][..], &["env"], &["config", "show"], &["doctor"], &["submit"], &["tasks", "list"]] {
        for format in ["text", "json"] {
            let line = [&["-t", &address, "-o", format], command].concat();
            let ended = sandbox.run(&line);
            assert_eq!(ended.code, Some(2), "{line:?}\n{}\n{}", ended.stdout, ended.stderr);
            assert!(
                ended.stderr.contains("fix: ") && ended.stderr.contains("CARDCTL_OPERATOR_TOKEN_FILE"),
                "{}",
                ended.stderr
            );
            assert_kept(&ended, &line.join(" "));
        }
    }
    for variable in ["CARDCTL_TARGET", "CARDCTL_WORKER_ISSUER_URL", "CARDCTL_KUBE_REGISTRY"] {
        for command in [&["config", "show"][..], &["up", "-d"], &["status"]] {
            let ended = Ended::of(sandbox.command(command).env(variable, &address).output().unwrap());
            assert_eq!(ended.code, Some(2), "{variable} {command:?}\n{}\n{}", ended.stdout, ended.stderr);
            assert_kept(&ended, variable);
        }
    }
    // Without a scheme, in flags of their own, in a file.
    for line in [
        vec!["-t".to_owned(), format!("user:{SECRET}@127.0.0.1:1"), "status".to_owned()],
        vec![
            "up".to_owned(),
            "-t".to_owned(),
            "processes".to_owned(),
            "--redis".to_owned(),
            format!("redis://:{SECRET}@cache"),
        ],
        vec!["images".to_owned(), "push".to_owned(), format!("http://user:{SECRET}@127.0.0.1:5000/cards")],
        vec!["nonsense".to_owned(), format!("--token={SECRET}")],
    ] {
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        let ended = sandbox.run(&line);
        assert_eq!(ended.code, Some(2), "{line:?}\n{}\n{}", ended.stdout, ended.stderr);
        assert_kept(&ended, &line.join(" "));
    }
    std::fs::write(sandbox.work().join("cardctl.toml"), format!("[worker.issuer]\nurl = '{address}'\n")).unwrap();
    let ended = sandbox.expect(2, &["up", "-d"]);
    assert_kept(&ended, "a file");
    std::fs::write(sandbox.work().join("cardctl.toml"), format!("[worker.issuer\npassword = '{SECRET}'\n")).unwrap();
    assert_kept(&sandbox.expect(2, &["config", "show"]), "a file that is no TOML");
    assert!(!is_in(&sandbox.path().join("state")));
    sandbox.assert_nothing_runs();
}

/// Every flag and every variable that holds an address, each with a password in it.
#[test]
fn no_flag_and_no_variable_takes_an_address_with_a_password() {
    let lab = Lab::new("lab");
    let sandbox = &lab.sandbox;
    let http = format!("http://user:{SECRET}@127.0.0.1:1");
    let (download, bare) = (format!("{http}/keda.yaml#sha256=0"), format!("user:{SECRET}@r.example/cards"));
    let (postgres, redis) = (format!("postgres://user:{SECRET}@db/cards"), format!("redis://:{SECRET}@cache"));
    let (image, bare_image) = (format!("card-server={http}/x"), format!("card-server={bare}:1"));
    let set = format!("worker.issuer.url={http}");
    let kube = ["-t", "kube", "--context", "lab"];
    let flags: &[&[&str]] = &[
        &["-t", &http, "status"],
        &["-t", &bare, "status"],
        &["--plain-http", &http, "status"],
        &["--plain-http", &bare, "status"],
        &["up", "-t", "processes", "--database", &postgres, "--redis", "redis://cache"],
        &["up", "-t", "processes", "--database", "postgres://db/cards", "--redis", &redis],
        &[&kube[..], &["up", "--database", &postgres]].concat(),
        &[&kube[..], &["up", "--redis", &redis]].concat(),
        &[&kube[..], &["up", "--install-keda", &download]].concat(),
        &[&kube[..], &["up", "--registry", &http]].concat(),
        &[&kube[..], &["up", "--registry", &bare]].concat(),
        &[&kube[..], &["up", "--image", &image]].concat(),
        &[&kube[..], &["up", "--image", &bare_image]].concat(),
        &[&kube[..], &["up", "-d", "--set", &set], &IMAGES].concat(),
        &[&kube[..], &["up", "-d", "--ingress", &http], &IMAGES].concat(),
        &["manifests", "render", "--registry", &http],
        &["manifests", "render", "--registry", &bare],
        &["manifests", "render", "--image", &image],
        &["manifests", "render", "--image", &bare_image],
        &["manifests", "render", "--set", &set],
        &["manifests", "render", "--ingress", &http],
        &["manifests", "render", "--postgres", &postgres],
        &["manifests", "render", "--redis", &redis],
        &["images", "push", &http],
        &["images", "push", &bare],
        &["images", "verify", &format!("{http}/x/y:1")],
        &["images", "verify", &format!("{bare}/x:1")],
        &[&kube[..], &["loadtest", "run", "--runner", "job", "--image", &bare]].concat(),
    ];
    for format in ["text", "json"] {
        for flag in flags {
            let line = [flag, &["-o", format][..]].concat();
            let ended = sandbox.run(&line);
            assert_eq!(ended.code, Some(2), "{line:?}\n{}\n{}", ended.stdout, ended.stderr);
            assert_kept(&ended, &line.join(" "));
        }
        for variable in [
            "CARDCTL_TARGET",
            "CARDCTL_WORKER_ISSUER_URL",
            "CARDCTL_KUBE_REGISTRY",
            "CARDCTL_ISSUER_URL",
            "CARDCTL_PLAIN_HTTP",
        ] {
            for line in [&["status"][..], &["up", "-d"], &["tasks", "list"], &["smoke"], &["doctor"], &["env"]] {
                let mut command = sandbox.command(&[line, &["-o", format]].concat());
                let ended = Ended::of(command.env(variable, &http).output().unwrap());
                assert_eq!(ended.code, Some(2), "{variable} {line:?}\n{}\n{}", ended.stdout, ended.stderr);
                assert_kept(&ended, variable);
            }
        }
    }
    assert!(!is_in(&sandbox.path().join("state")));
    sandbox.assert_nothing_runs();
}

/// Every name and every reason that the command line takes, with a card's number in it: refused before anything is asked.
#[test]
fn no_name_and_no_reason_holds_a_number_of_a_card() {
    const NUMBER: &str = "4111-1111-1111-1111";
    let sandbox = Sandbox::new();
    for line in [
        &["submit", "--run", NUMBER][..],
        &["watch", "--run", NUMBER],
        &["tasks", "list", "--run", NUMBER],
        &["users", "clean", "--run", NUMBER],
        &["dlq", "list", "--run", NUMBER],
        &["dlq", "retry", "--run", NUMBER],
        &["dlq", "discard", "--run", NUMBER, "--reason", "superseded"],
        &["dlq", "discard", "--reason", &format!("asked for by {NUMBER}")],
        &["--instance", NUMBER, "up", "-d"],
    ] {
        let ended = sandbox.run(line);
        assert_eq!(ended.code, Some(2), "{line:?}\n{}\n{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("must not hold a number that could be a card's"), "{line:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains(NUMBER) && !ended.stdout.contains(NUMBER), "{line:?}: {}", ended.stderr);
    }
    sandbox.assert_nothing_runs();
}
