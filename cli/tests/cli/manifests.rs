//! `cardctl manifests`, what of it needs no cluster.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::sandbox::{Ended, Sandbox};

const DIGEST: &str = "sha256:4444444444444444444444444444444444444444444444444444444444444444";

/// Both images of the platform, named.
fn images() -> [String; 4] {
    let [server, worker] =
        ["card-server", "card-worker"].map(|name| format!("{name}=ghcr.io/ada/cards/{name}@{DIGEST}"));
    ["--image".to_owned(), server, "--image".to_owned(), worker]
}

fn render<'a>(images: &'a [String; 4], more: &[&'a str]) -> Vec<&'a str> {
    ["manifests", "render"].into_iter().chain(images.iter().map(String::as_str)).chain(more.iter().copied()).collect()
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_small_overlay_is_this_text() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.transcript(&render(&images(), &[])));
}

#[test]
fn the_same_flags_are_the_same_text_and_programs_get_a_document() {
    let sandbox = Sandbox::new();
    let images = images();
    for overlay in ["minikube", "small", "medium", "large", "ha"] {
        let arguments = render(&images, &["--overlay", overlay, "--ingress", "cards.test", "--workers", "2..8"]);
        assert_eq!(sandbox.run(&arguments).stdout, sandbox.run(&arguments).stdout, "{overlay}");
    }
    let document = sandbox.run(&render(&images, &["--instance", "two", "-o", "json"])).json();
    assert_eq!(document["v"], 1);
    let objects = document["objects"].as_array().unwrap();
    assert_eq!(objects[0]["kind"], "Namespace");
    let is_ours = |object: &Value| object["metadata"]["labels"]["app.kubernetes.io/instance"] == "two";
    assert!(objects.iter().all(is_ours));
}

#[test]
fn what_is_rendered_is_valid_also_by_way_of_a_pipe() {
    let sandbox = Sandbox::new();
    let rendered = sandbox.run(&render(&images(), &["--overlay", "minikube"]));
    let mut child =
        sandbox.command(&["manifests", "validate", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), rendered.stdout.as_bytes()).unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "41 objects: no problems found\n"));
    insta::assert_snapshot!(sandbox.transcript(&["manifests", "validate"]));
}

#[test]
fn a_directory_gets_a_file_for_each_object_and_loses_those_that_are_gone() {
    let sandbox = Sandbox::new();
    let images = images();
    let out = sandbox.work().join("rendered");
    assert_eq!(sandbox.run(&render(&images, &["--out", "rendered", "--prometheus", "on"])).code, Some(0));
    let before = files(&out);
    assert!(before.contains(&"deployment-prometheus.yaml".to_owned()), "{before:?}");
    assert!(before.contains(&"kustomization.yaml".to_owned()));
    std::fs::write(out.join("mine.yaml"), "a: 1\n").unwrap();
    assert_eq!(sandbox.run(&render(&images, &["--out", "rendered"])).code, Some(0));
    let after = files(&out);
    assert!(!after.contains(&"deployment-prometheus.yaml".to_owned()), "{after:?}");
    assert!(after.contains(&"mine.yaml".to_owned()), "what somebody else wrote stays");
    let validated = sandbox.run(&["manifests", "validate", "rendered/service-server.yaml"]);
    assert_eq!(validated.code, Some(0), "{}", validated.stdout);

    std::fs::write(out.join("service-server.yaml"), "a: 1\n").unwrap();
    insta::assert_snapshot!(sandbox.transcript(&render(&images, &["--out", "rendered"])));
    assert_eq!(std::fs::read_to_string(out.join("service-server.yaml")).unwrap(), "a: 1\n");
}

#[test]
fn an_image_that_nobody_named_and_nobody_built_is_not_made_up() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["manifests", "render"]));
}

#[test]
fn an_image_that_is_not_pinned_is_refused_unless_that_is_waived() {
    let sandbox = Sandbox::new();
    let images = images();
    insta::assert_snapshot!(sandbox.transcript(&render(&images, &["--image", "postgres=lab/postgres:17"])));
    let waived = sandbox.run(&render(&images, &["--image", "postgres=lab/postgres:17", "--allow-unpinned"]));
    assert!(waived.stdout.contains("image: lab/postgres:17\n"));
    let invalid = sandbox.work().join("x.yaml");
    std::fs::write(&invalid, waived.stdout).unwrap();
    assert_eq!(sandbox.run(&["manifests", "validate", "x.yaml"]).code, Some(3));
}

#[test]
fn values_that_can_not_be_meant_are_mistakes_of_usage() {
    let sandbox = Sandbox::new();
    let images = images();
    for (flags, reason) in [
        (&["--overlay", "huge"][..], "no such overlay: \"huge\""),
        (&["--workers", "many"], "must be a number, or MIN..MAX"),
        (&["--workers", "0"], "--workers: must be at least 1"),
        (&["--postgres", "postgres://u:hunter2@h/d"], "the URL itself belongs in the secret"),
        (&["--set", "server.port=1"], "--set: server.port is fixed"),
        (
            &["--set", "wroker.concurrency=64", "--set", "worker.concurrency=banana"],
            "no such setting: \"wroker.concurrency\"; did you mean \"worker.concurrency\"?",
        ),
        (&["--set", "worker.concurrency=banana"], "worker.concurrency: must be a whole number"),
        (&["--ingress", "192.168.49.2"], "--ingress: must be a host name"),
        (&["--namespace", "A"], "--namespace: "),
        (&["--autoscaler", "hpa"], "--autoscaler needs a range of workers"),
        (&["--image", "card-sever=a"], "--image: there is no image \"card-sever\""),
        (&["--no-tls"], "--ingress"),
    ] {
        let ended = sandbox.run(&render(&images, flags));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    }
}

#[test]
fn a_directory_that_was_rendered_is_read_again() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &render(&images(), &["--overlay", "medium", "--set", "log.level=debug", "--out", "rendered"]));
    let written =
        sandbox.expect(0, &render(&images(), &["--overlay", "medium", "--set", "log.level=debug", "-o", "json"]));
    let ended = sandbox.expect(0, &["manifests", "validate", "rendered", "-o", "json"]);
    assert_eq!(ended.json()["objects"], written.json()["objects"].as_array().unwrap().len());
    // What a kustomization cannot be built from here is said, with the way round it.
    let file = sandbox.work().join("rendered/kustomization.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}helmCharts: []\n")).unwrap();
    let ended = sandbox.run(&["manifests", "validate", "rendered", "-o", "json"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.json()["error"]["fix"].as_str().unwrap().starts_with("kubectl kustomize rendered"),
        "{}",
        ended.stdout
    );
}

#[test]
fn settings_in_config_maps_are_those_that_there_are() {
    let sandbox = Sandbox::new();
    let rendered = sandbox.expect(0, &render(&images(), &[])).stdout;
    for (from, to, reason) in [
        ("CARDCTL_DELIVERY_LIMIT: \"50000\"", "CARDCTL_DELIVERY_LIMIT: \"many\"", "must be a whole number"),
        ("CARDCTL_DELIVERY_LIMIT", "CARDCTL_DELIVERY_LIMITS", "did you mean CARDCTL_DELIVERY_LIMIT?"),
    ] {
        assert!(rendered.contains(from));
        std::fs::write(sandbox.work().join("x.yaml"), rendered.replace(from, to)).unwrap();
        let ended = sandbox.expect(3, &["manifests", "validate", "x.yaml"]);
        assert!(ended.stdout.contains(reason), "{}", ended.stdout);
    }
}

#[test]
fn what_is_wrong_is_named_object_by_object() {
    let sandbox = Sandbox::new();
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  selector:\n    matchLabels: {a: b}\n  \
                template:\n    metadata:\n      labels: {a: c}\n    spec:\n      containers:\n        - name: x\n          \
                image: nginx\n          imagePullPolcy: Always\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n\
                stringData:\n  password: hunter2\n";
    std::fs::write(sandbox.work().join("x.yaml"), text).unwrap();
    let transcript = sandbox.transcript(&["manifests", "validate", "x.yaml"]);
    assert!(!transcript.contains("hunter2"));
    insta::assert_snapshot!(transcript);
    let document = sandbox.run(&["manifests", "validate", "x.yaml", "-o", "json"]);
    assert_eq!((document.code, &document.json()["valid"]), (Some(3), &Value::from(false)));
}

#[test]
fn a_file_that_is_no_manifest_is_named_with_its_line() {
    let sandbox = Sandbox::new();
    std::fs::write(
        sandbox.work().join("x.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  b: on\n",
    )
    .unwrap();
    insta::assert_snapshot!(sandbox.transcript(&["manifests", "validate", "x.yaml"]));
    assert_eq!(sandbox.run(&["manifests", "validate", "nowhere.yaml"]).code, Some(3));
}

#[test]
fn digests_are_pinned_once_and_a_check_says_whether_they_are() {
    let sandbox = Sandbox::new();
    let deploy = sandbox.work().join("deploy");
    std::fs::create_dir(&deploy).unwrap();
    let file = deploy.join("kustomization.yaml");
    std::fs::write(&file, "# ours\nresources:\n  - ../base\n").unwrap();
    let images = images();
    let pin = |more: &[&str]| {
        let arguments: Vec<_> =
            ["manifests", "pin", "deploy"].into_iter().chain(images.iter().map(String::as_str)).collect();
        sandbox.transcript(&[&arguments, more].concat())
    };
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(pin(&["--check"]).contains("\nexit 12\n"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    insta::assert_snapshot!(pin(&[]));
    insta::assert_snapshot!("the_file", std::fs::read_to_string(&file).unwrap());
    assert!(pin(&[]).contains("unchanged"));
    assert!(pin(&["--check"]).contains("\nexit 0\n"));
    insta::assert_snapshot!("without_images", sandbox.transcript(&["manifests", "pin", "deploy"]));
    let loose = sandbox.run(&["manifests", "pin", "deploy", "--image", "card-server=a:1"]);
    assert_eq!(loose.code, Some(2));
    assert!(loose.stderr.contains("it has no digest"), "{}", loose.stderr);
}
