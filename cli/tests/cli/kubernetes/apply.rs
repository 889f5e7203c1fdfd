//! What others did to the objects meanwhile, and what is wanted no longer.

use serde_json::{Value, json};

use super::{Lab, NAMESPACE};

const SERVER: (&str, Option<&str>, &str) = ("Deployment", Some(NAMESPACE), "server");

fn image(deployment: &mut Value) -> &mut Value {
    &mut deployment["spec"]["template"]["spec"]["containers"][0]["image"]
}

#[test]
fn a_conflict_is_told_field_by_field_and_can_be_taken() {
    let lab = Lab::new("lab");
    lab.deployed();
    lab.server.edit(SERVER, "kubectl-edit", "", |deployment| *image(deployment) = json!("theirs:1"));
    let ended = lab.sandbox.expect(5, &lab.up(&["-o", "json"]));
    let error = &ended.json()["error"];
    let evidence = error["evidence"].to_string();
    for part in [".image", "kubectl-edit", "theirs:1", "cards.test/card-server:1"] {
        assert!(evidence.contains(part), "{part}: {error}");
    }
    assert!(error["fix"].as_str().unwrap().contains("--force-conflicts"), "{error}");
    let mut there = lab.server.get(SERVER.0, SERVER.1, SERVER.2).unwrap();
    assert_eq!(*image(&mut there), "theirs:1");

    lab.sandbox.expect(124, &lab.up(&["--force-conflicts"]));
    let mut there = lab.server.get(SERVER.0, SERVER.1, SERVER.2).unwrap();
    assert_eq!(*image(&mut there), "cards.test/card-server:1");
}

#[test]
fn a_second_up_writes_no_object_again() {
    let lab = Lab::new("lab");
    lab.deployed();
    let version = |kind: &str, name: &str| {
        lab.server.get(kind, Some(NAMESPACE), name).unwrap()["metadata"]["resourceVersion"].clone()
    };
    let objects =
        [("Deployment", "server"), ("StatefulSet", "postgres"), ("Service", "server"), ("Secret", "card-secrets")];
    let before = objects.map(|(kind, name)| version(kind, name));
    lab.deployed();
    assert_eq!(objects.map(|(kind, name)| version(kind, name)), before);
}

#[test]
fn what_is_no_longer_wanted_is_named_and_deleted_and_nothing_else_is() {
    let lab = Lab::new("lab");
    lab.sandbox.expect(124, &lab.up(&["--ingress", "cards.test"]));
    assert_eq!(lab.server.all("Ingress").len(), 1);
    let theirs =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": NAMESPACE}});
    lab.server.put(theirs);
    // Said again without anything, it would mean the same.
    let ended = lab.sandbox.expect(124, &lab.up(&["--no-ingress"]));
    assert!(
        ended.stderr.contains("no longer needed, deleted") && ended.stderr.contains("ingress/"),
        "{}",
        ended.stderr
    );
    assert_eq!(lab.server.all("Ingress").len(), 0);
    assert!(lab.server.get("ConfigMap", Some(NAMESPACE), "theirs").is_some());
}
