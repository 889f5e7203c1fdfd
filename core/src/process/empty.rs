//! Variables that are set to nothing: CI and compose files set so what was not given, and it counts as unset.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What a variable begins with that we, a library of ours or a program that we start read.
const FAMILIES: [&str; 11] =
    ["CARD", "CARGO", "CC_", "DOCKER_", "KUBE", "MINIKUBE_", "PG", "RUST", "SSL_CERT_", "TOKIO_", "XDG_"];

/// Those that have no family. `TZ` is not among them: an empty one means UTC.
const OTHERS: [&str; 19] = [
    "ALL_PROXY",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "GITHUB_ACTIONS",
    "GITHUB_STEP_SUMMARY",
    "HOME",
    "HOSTNAME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "JOB_COMPLETION_INDEX",
    "NO_COLOR",
    "NO_PROXY",
    "REGISTRY_AUTH_FILE",
    "REQUEST_METHOD",
    "SOURCE_DATE_EPOCH",
    "SUDO_UID",
    "TERM",
    "TMPDIR",
    "TZDIR",
];

/// Begins this program anew without the variables that are set to nothing, if there are any that it, a library or a
/// program that it starts would read. Libraries take an empty one for a value: `SSL_CERT_FILE=` for no certificates,
/// `TOKIO_WORKER_THREADS=` for a mistake. Before anything else, as what was begun would be lost.
pub fn without_empty_variables() {
    let empty: Vec<OsString> =
        std::env::vars_os().filter(|(name, value)| value.is_empty() && is_read(name)).map(|(name, _)| name).collect();
    let (false, Ok(program)) = (empty.is_empty(), std::env::current_exe()) else { return };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments);
    for name in empty {
        again.env_remove(name);
    }
    // The same process goes on. If it can't, what most programs do with such variables has to do.
    let _ = again.exec();
}

fn is_read(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_uppercase();
    FAMILIES.iter().any(|family| name.starts_with(family.as_bytes()))
        || OTHERS.iter().any(|other| name == other.as_bytes())
}
