//! Variables that are set to nothing, as CI and compose files set what was not given: they count as unset, whoever reads them.

use std::collections::BTreeSet;
use std::path::Path;

use cardctl::instance::Record;
use regex::Regex;

use crate::sandbox::{Ended, Sandbox};

/// What libraries and programs that are started read. What we read ourselves is found in the sources.
const READ_BY_OTHERS: [&str; 39] = [
    "ALL_PROXY",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "DOCKER_CONFIG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBE_RS_DEBUG_IMPERSONATE_USER",
    "KUBE_RS_DEBUG_OVERRIDE_URL",
    "MINIKUBE_HOME",
    "NO_PROXY",
    "PGAPPNAME",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGUSER",
    "REQUEST_METHOD",
    "RUSTC",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TOKIO_WORKER_THREADS",
    "TZ",
    "TZDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "no_proxy",
];

/// Without it nothing is found.
const NEEDED: [&str; 2] = ["PATH", "XDG_STATE_HOME"];

/// Every name of a variable in the sources of the programs, and every setting's.
fn names() -> BTreeSet<String> {
    let name = Regex::new(r#""((?:CARDCTL|CARGO|DOCKER|GITHUB|JOB|KUBE|PG|RUST|XDG)[A-Z]*_[A-Z_]+|HOME|HOSTNAME|KUBECONFIG|NO_COLOR|RUSTFLAGS|SOURCE_DATE_EPOCH|SUDO_UID|TERM|TMPDIR|CARGO)""#).unwrap();
    let read = Regex::new(r#"(?:\bvar(?:_os)?\(|\benv = )"([^"]+)""#).unwrap();
    let mut names: BTreeSet<_> = READ_BY_OTHERS.iter().map(|name| (*name).to_owned()).collect();
    names.extend(
        cardctl::instance::flat(&card_core::settings::Settings::default())
            .keys()
            .map(|key| card_core::settings::variable(key)),
    );
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut directories: Vec<_> = ["client", "core", "kinds", "server", "worker", "cli", "loadtests", "manifests"]
        .into_iter()
        .map(|package| workspace.join(package))
        .collect();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(file.as_str(), "tests" | "testing" | "target" | "examples" | "build") {
                directories.push(path);
            } else if file.ends_with(".rs") && file != "tests.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap();
                names.extend(name.captures_iter(text).map(|found| found[1].to_owned()));
                names.extend(read.captures_iter(text).map(|found| found[1].to_owned()));
            }
        }
    }
    names.retain(|name| !NEEDED.contains(&name.as_str()));
    names
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_unset() {
    let sandbox = Sandbox::new();
    let names = names();
    assert!(names.len() > 100 && names.contains("CARDCTL_ASSIGNMENT") && names.contains("CARGO_HOME"), "{names:?}");
    let all = |arguments: &[&str]| {
        let ended = Ended::of(sandbox.command(arguments).envs(names.iter().map(|name| (name, ""))).output().unwrap());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended
    };
    all(&["up", "-d", "--port", "0"]);
    assert!(Record::running(&sandbox.paths()).is_some());
    all(&["submit", "-c", "1", "-w"]);
    let url = sandbox.record().url;
    let shown = ["config", "show", "-o", "json"];
    assert_eq!(all(&shown).stdout, sandbox.expect(0, &shown).stdout);
    for name in &names {
        // By a client, which knows TLS; to the platform that runs.
        let ended = Ended::of(sandbox.command(&["status", "-o", "json"]).env(name, "").output().unwrap());
        assert_eq!((ended.code, &ended.json()["url"]), (Some(0), &url.as_str().into()), "{name}: {}", ended.stderr);
    }
    all(&["down"]);
}

#[test]
fn what_is_started_does_not_get_them_and_the_name_of_the_program_stays() {
    let sandbox = Sandbox::new();
    let script = "exec -a another $CARDCTL up --port 0 -- sh -c 'echo ${SSL_CERT_FILE-unset} [${MY_OWN-unset}] $(tr \"\\0\" \" \" </proc/$PPID/cmdline)'";
    let mut command = sandbox.program("bash", &["-c", script]);
    let ended = Ended::of(command.env("SSL_CERT_FILE", "").env("MY_OWN", "").output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("unset [] another up --port 0 -- "), "{}", ended.stdout);
}
