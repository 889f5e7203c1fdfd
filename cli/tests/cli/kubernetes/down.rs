//! `down` takes what is ours, asks before data goes, and has nothing to do the second time.

use card_kube::testing::Fault;
use serde_json::json;

use super::{Lab, NAMESPACE};

const DOWN: [&str; 5] = ["down", "-t", "kube", "-o", "json"];

#[test]
fn the_second_down_has_nothing_to_do() {
    let lab = Lab::new("lab");
    lab.deployed();
    let first = lab.sandbox.expect(0, &DOWN).json();
    assert_eq!((&first["stopped"], &first["namespace_deleted"]), (&json!(true), &json!(false)), "{first}");
    assert!(first["kept"].to_string().contains("secret/card-secrets"), "{first}");
    assert!(lab.server.all("Deployment").is_empty() && lab.server.all("StatefulSet").is_empty());
    let second = lab.sandbox.expect(0, &DOWN).json();
    assert_eq!((&second["stopped"], &second["deleted"]), (&json!(false), &json!([])), "{second}");
    let purged = lab.sandbox.expect(0, &[&DOWN[..], &["--purge", "--yes"]].concat()).json();
    assert_eq!(purged["namespace_deleted"], true, "{purged}");
    assert_eq!(lab.left(), Vec::<String>::new());
    // Where it was is forgotten with it: which cluster is meant must be said again.
    lab.sandbox.expect(3, &DOWN);
    let none = lab.sandbox.expect(0, &[&DOWN[..], &["--context", "lab"]].concat()).json();
    assert_eq!(none["stopped"], false, "{none}");
}

#[test]
fn data_is_not_deleted_without_a_yes() {
    let lab = Lab::new("lab");
    lab.deployed();
    let before = lab.left();
    // Nobody is there to be asked.
    lab.sandbox.expect(3, &["down", "-t", "kube", "--purge"]);
    assert_eq!(lab.left(), before);
}

#[test]
fn what_others_have_there_stays_and_so_does_the_namespace() {
    let lab = Lab::new("lab");
    lab.deployed();
    let theirs =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": NAMESPACE}});
    lab.server.put(theirs);
    let ended = lab.sandbox.expect(0, &["down", "-t", "kube", "--purge", "--yes"]);
    assert!(ended.stdout.contains("theirs"), "{}", ended.stdout);
    assert_eq!(lab.left(), ["Namespace/cardctl", "ConfigMap/theirs"]);
}

#[test]
fn a_namespace_that_was_there_before_stays() {
    let lab = Lab::new("lab");
    lab.server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}}));
    lab.sandbox.expect(124, &lab.up(&["--namespace", "mine"]));
    let ended = lab.sandbox.expect(0, &["down", "-t", "kube", "--purge", "--yes"]);
    assert!(ended.stdout.contains("the namespace mine existed before and is kept"), "{}", ended.stdout);
    assert_eq!(lab.left(), ["Namespace/mine"]);
}

#[test]
fn a_purge_that_is_refused_in_the_middle_is_gone_on_with_by_the_same_command() {
    let lab = Lab::new("lab");
    lab.deployed();
    let purge = [&DOWN[..], &["--purge", "--yes"]].concat();
    let secret = format!("/api/v1/namespaces/{NAMESPACE}/secrets/card-secrets");
    lab.server.fail_on("DELETE", &secret, Fault::status(403, "Forbidden", "secrets is forbidden"));
    let ended = lab.sandbox.expect(4, &purge);
    let error = &ended.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("secrets is forbidden"), "{error}");
    assert_eq!(error["left"], "what was deleted stays deleted; run the same command again to continue");
    assert!(lab.server.all("StatefulSet").is_empty(), "it had begun");
    assert!(lab.server.get("Secret", Some(NAMESPACE), "card-secrets").is_some());
    // Where it is stays known: the same command needs no context, and finds the rest.
    let purged = lab.sandbox.expect(0, &purge).json();
    assert_eq!((&purged["purged"], &purged["namespace_deleted"]), (&json!(true), &json!(true)), "{purged}");
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn a_purge_of_this_machine_does_not_forget_what_is_in_a_cluster() {
    let lab = Lab::new("lab");
    lab.deployed();
    let before = lab.left();
    let ended = lab.sandbox.expect(3, &["down", "-t", "embedded", "--purge", "--yes"]);
    assert!(ended.stderr.contains("the instance is also deployed to a Kubernetes cluster"), "{}", ended.stderr);
    assert!(ended.stderr.contains("fix: cardctl down -t kube --purge"), "{}", ended.stderr);
    assert_eq!(lab.left(), before);
    lab.sandbox.expect(0, &[&DOWN[..], &["--purge", "--yes"]].concat());
    lab.sandbox.expect(0, &["down", "-t", "embedded", "--purge", "--yes"]);
}
