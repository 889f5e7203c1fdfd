//! Which cluster is meant: none by chance, and never another one than before.

use super::Lab;

#[test]
fn without_a_context_those_that_there_are_are_named() {
    let lab = Lab::new("lab");
    insta::assert_snapshot!(lab.sandbox.transcript(&["up", "-d", "-t", "kube"]));
    assert_eq!(lab.server.seen().len(), 0);
}

#[test]
fn a_context_that_there_is_not_is_refused() {
    let lab = Lab::new("lab");
    let ended = lab.sandbox.expect(3, &["up", "-d", "-t", "kube", "--context", "prod", "-o", "json"]);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "unknown-context");
    assert!(error["fix"].as_str().unwrap().contains("lab"), "{error}");
}

#[test]
fn a_cluster_elsewhere_is_not_touched_unless_it_is_allowed_by_name() {
    let lab = Lab::new("prod");
    std::fs::remove_file(lab.user_settings()).unwrap();
    // What has no TLS may be a proxy to anywhere, by the address of this machine too.
    let ended = lab.sandbox.expect(3, &lab.up(&[]));
    assert!(ended.stderr.contains("127.0.0.1 may be a proxy to anywhere"), "{}", ended.stderr);
    // The same socket by an address that is not loopback.
    let elsewhere = std::fs::read_to_string(lab.kubeconfig()).unwrap().replace("127.0.0.1", "0.0.0.0");
    lab.write_kubeconfig(&elsewhere);
    let ended = lab.sandbox.expect(3, &lab.up(&["-o", "json"]));
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "context-not-allowed");
    assert!(error["fix"].as_str().unwrap().contains("--allow-context prod"), "{error}");
    assert_eq!(lab.server.seen().len(), 0, "it was asked something");
    lab.sandbox.expect(3, &lab.up(&["--allow-context", "prodd"]));
    lab.sandbox.expect(124, &lab.up(&["--allow-context", "prod"]));
    // What was allowed once is not asked again.
    lab.sandbox.expect(0, &["down", "-t", "kube", "--purge", "--yes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn another_cluster_behind_the_same_context_is_not_touched() {
    let mut lab = Lab::new("lab");
    lab.deployed();
    lab.becomes_another();
    for arguments in [lab.up(&["-o", "json"]), vec!["down", "-t", "kube", "--purge", "--yes", "-o", "json"]] {
        let ended = lab.sandbox.expect(3, &arguments);
        assert_eq!(ended.json()["error"]["code"], "other-cluster", "{arguments:?}");
    }
    assert_eq!(lab.writes(), 0);
    // Another instance has nothing to do with that one.
    lab.sandbox.expect(124, &lab.up(&["--instance", "two"]));
    assert!(lab.server.get("Deployment", Some("cardctl-two"), "server").is_some());
}

#[test]
fn another_context_than_it_was_deployed_to_is_refused() {
    let lab = Lab::new("lab");
    lab.deployed();
    let both = std::fs::read_to_string(lab.kubeconfig())
        .unwrap()
        .replace("contexts:\n", "contexts:\n- name: second\n  context: {cluster: lab, user: lab}\n");
    lab.write_kubeconfig(&both);
    let ended = lab.sandbox.expect(3, &["down", "-t", "kube", "--context", "second", "-o", "json"]);
    assert_eq!(ended.json()["error"]["code"], "other-cluster");
}
