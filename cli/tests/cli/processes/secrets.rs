use std::os::unix::fs::PermissionsExt;

use super::cluster::Cluster;
use crate::sandbox::Ended;

#[test]
fn a_password_is_nowhere_but_where_it_is_needed() {
    const PASSWORD: &str = "hunter2hunter2";
    let cluster = Cluster::new();
    // This Postgres trusts whoever comes from here, with any password.
    let address = cluster.database.url().replacen("card@", &format!("card:{PASSWORD}@"), 1);
    assert!(address.contains(PASSWORD), "{address}");
    let run =
        |arguments: &[&str]| Ended::of(cluster.command(arguments).env("CARDCTL_DATABASE", &address).output().unwrap());
    let up = run(&["up", "-d", "-t", "processes", "--port", "0"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    cluster.works();
    let mut said = vec![up];
    for arguments in [&["status"][..], &["status", "-o", "json"], &["config", "show"], &["doctor"], &["env"], &["logs"]]
    {
        said.push(run(arguments));
    }
    for Ended { stdout, stderr, .. } in said {
        assert!(!stdout.contains(PASSWORD) && !stderr.contains(PASSWORD), "{stdout}\n{stderr}");
    }
    for pid in cluster.sandbox.processes() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(PASSWORD));
    }
    let issuer = cluster.child("issuer").unwrap()["pid"].clone();
    let environment = std::fs::read(format!("/proc/{issuer}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains(PASSWORD), "the issuer has no use for it");
    for entry in std::fs::read_dir(cluster.sandbox.paths().dir).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "{:?}", entry.path());
    }
    let socket = std::fs::metadata(cluster.sandbox.paths().control()).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}
