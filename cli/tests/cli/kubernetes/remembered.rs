//! What an `up` asked for is what the next one means, whatever was done in between; and nothing that runs loses what it needs
//! before the new is there.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Lab, NAMESPACE};
use crate::sandbox::Ended;

const DATABASE: &str = "postgres://card:hunter2@db.test:6432/cards";
const REDIS: &str = "redis://cache.test:6380/0";

/// With Postgres and Redis outside of the cluster.
fn outside(lab: &Lab, more: &[&str]) -> Ended {
    let mut command = lab.command(&lab.up(more));
    Ended::of(command.env("CARDCTL_DATABASE", DATABASE).env("CARDCTL_REDIS", REDIS).output().unwrap())
}

fn secret(lab: &Lab, key: &str) -> String {
    let secret = lab.server.get("Secret", Some(NAMESPACE), "card-secrets").unwrap();
    String::from_utf8(BASE64_STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap()
}

fn names(lab: &Lab, kind: &str) -> Vec<String> {
    lab.server.all(kind).iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn asked(lab: &Lab) -> Value {
    let path = lab.sandbox.paths().dir.join("deployment.json");
    serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()["asked"].clone()
}

fn deployment(lab: &Lab, name: &str) -> Value {
    lab.server.get("Deployment", Some(NAMESPACE), name).unwrap()
}

#[test]
fn stores_outside_of_the_cluster_stay_outside_until_it_is_said_otherwise() {
    let lab = Lab::new("lab");
    assert_eq!(outside(&lab, &[]).code, Some(124));
    let policies = names(&lab, "NetworkPolicy");
    assert_eq!(names(&lab, "StatefulSet"), Vec::<String>::new());
    // Without the variables, which a new terminal does not have.
    lab.deployed();
    assert_eq!(names(&lab, "StatefulSet"), Vec::<String>::new());
    assert_eq!((names(&lab, "NetworkPolicy"), secret(&lab, "database-url")), (policies, DATABASE.to_owned()));
    let written = std::fs::read_to_string(lab.sandbox.paths().dir.join("deployment.json")).unwrap();
    assert!(!written.contains("hunter2") && !written.contains("db.test"), "{written}");
    // What only the secret knew is asked for, and not made up.
    lab.server.remove("Secret", Some(NAMESPACE), "card-secrets");
    let lost = lab.sandbox.expect(3, &lab.up(&["-o", "json"]));
    assert_eq!(lost.json()["error"]["code"], "address-lost");
    assert!(lab.server.get("Secret", Some(NAMESPACE), "card-secrets").is_none());
    assert_eq!(outside(&lab, &[]).code, Some(124));
    lab.sandbox.expect(124, &lab.up(&["--database", "bundled", "--redis", "bundled"]));
    assert_eq!(names(&lab, "StatefulSet"), ["postgres"]);
    assert!(secret(&lab, "database-url").contains("@postgres"), "{}", secret(&lab, "database-url"));
    lab.deployed();
    assert_eq!(names(&lab, "StatefulSet"), ["postgres"]);
}

#[test]
fn a_front_has_a_service_until_it_is_turned_off() {
    let lab = Lab::new("lab");
    lab.sandbox.expect(124, &lab.up(&["--front", "buy-list=80", "--front", "shop"]));
    let fronts = |lab: &Lab| {
        let names = names(lab, "Service").into_iter();
        names.filter(|name| name.starts_with("server-") && name != "server-pods").collect::<Vec<_>>()
    };
    assert_eq!(fronts(&lab), ["server-buy-list", "server-shop"]);
    let service = lab.server.get("Service", Some(NAMESPACE), "server-buy-list").unwrap();
    assert_eq!(service["spec"]["ports"][0]["port"], 80);
    let status = lab.sandbox.run(&["status", "-t", "kube", "-o", "json"]).json();
    assert_eq!(status["fronts"]["buy-list"], format!("http://server-buy-list.{NAMESPACE}.svc:80"));
    lab.deployed();
    assert_eq!(fronts(&lab), ["server-buy-list", "server-shop"], "the next up means the same");
    assert_eq!(asked(&lab)["fronts"], json!({"buy-list": 80, "shop": 8081}));
    lab.sandbox.expect(124, &lab.up(&["--front", "shop=0"]));
    let ports = deployment(&lab, "server")["spec"]["template"]["spec"]["containers"][0]["ports"].clone();
    let ports: Vec<_> = ports.as_array().unwrap().iter().map(|port| &port["containerPort"]).collect();
    assert!(ports.contains(&&json!(3000)) && !ports.contains(&&json!(8081)), "{ports:?}");
    let refused = lab.sandbox.expect(2, &lab.up(&["--front", "shop", "--front", "shop=80"]));
    assert!(refused.stderr.contains("--front shop is given twice"), "{}", refused.stderr);
}

#[test]
fn the_kinds_of_the_workers_are_a_setting_that_is_kept() {
    let lab = Lab::new("lab");
    let kinds = |lab: &Lab| {
        let settings = lab.server.get("ConfigMap", Some(NAMESPACE), &settings_of(&deployment(lab, "worker"))).unwrap();
        settings["data"]["CARDCTL_WORKER_KINDS"].clone()
    };
    lab.sandbox.expect(124, &lab.up(&["--kinds", "purchase,add"]));
    assert_eq!(kinds(&lab), "purchase,add");
    lab.deployed();
    assert_eq!(kinds(&lab), "purchase,add", "the next up means the same");
    lab.sandbox.expect(124, &lab.up(&["--set", "worker.kinds="]));
    assert_eq!(kinds(&lab), Value::Null);
}

/// The name of the settings that the pods of a deployment read.
fn settings_of(deployment: &Value) -> String {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    container["envFrom"][0]["configMapRef"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn pods_start_anew_with_another_address_and_what_they_had_goes_last() {
    let lab = Lab::new("lab");
    lab.deployed();
    let mark = |lab: &Lab, name: &str| {
        deployment(lab, name)["spec"]["template"]["metadata"]["annotations"]["cardctl/secrets"].clone()
    };
    let before: Vec<Value> = ["server", "worker", "issuer"].map(|name| mark(&lab, name)).to_vec();
    assert!(before.iter().all(Value::is_string), "{before:?}");
    lab.deployed();
    assert_eq!(before, ["server", "worker", "issuer"].map(|name| mark(&lab, name)), "nothing is another");
    // The new pods never come: the old ones go on with what they have.
    let kinds = ["StatefulSet", "ServiceAccount", "Service", "NetworkPolicy", "ConfigMap", "PodDisruptionBudget"];
    let all = || kinds.map(|kind| names(&lab, kind));
    let stays = |had: &[Vec<String>]| {
        for (had, kind) in had.iter().zip(kinds) {
            let now = names(&lab, kind);
            assert!(had.iter().all(|name| now.contains(name)), "{kind}: {had:?}, now {now:?}");
        }
    };
    let bundled = all();
    assert_eq!(outside(&lab, &[]).code, Some(124));
    stays(&bundled);
    assert!(["server", "worker"].iter().zip(&before).all(|(name, before)| mark(&lab, name) != *before));
    // And the other way: what leads to the stores outside.
    let both = all();
    lab.sandbox.expect(124, &lab.up(&["--database", "bundled", "--redis", "bundled"]));
    stays(&both);
}

#[test]
fn a_volume_without_the_secret_of_its_password_is_not_given_a_new_one() {
    let lab = Lab::new("lab");
    lab.deployed();
    lab.server.put(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-postgres-0", "namespace": NAMESPACE}}));
    lab.deployed();
    lab.server.remove("Secret", Some(NAMESPACE), "card-secrets");
    let ended = lab.sandbox.expect(3, &lab.up(&["-o", "json"]));
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "secret-lost");
    let fix = error["fix"].as_str().unwrap();
    assert!(lab.server.get("Secret", Some(NAMESPACE), "card-secrets").is_none());
    // What it says helps: the secret with the password alone, as kubectl makes it, and its label.
    assert!(fix.contains("--from-file=postgres-password && kubectl -n cardctl label secret card-secrets "), "{fix}");
    let label = fix.split(' ').find_map(|word| word.trim_end_matches(';').split_once("part-of=")).unwrap();
    let label = (format!("{}part-of", label.0), label.1);
    lab.server.put(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "card-secrets", "namespace": NAMESPACE, "labels": {label.0: label.1}},
        "data": {"postgres-password": BASE64_STANDARD.encode("hunter2\n")}}));
    lab.deployed();
    assert_eq!(secret(&lab, "postgres-password"), "hunter2\n");
    assert!(secret(&lab, "database-url").contains(":hunter2@postgres"));
    lab.sandbox.expect(0, &["down", "-t", "kube"]);
    assert_eq!(secret(&lab, "postgres-password"), "hunter2\n", "down leaves it");
    lab.sandbox.expect(0, &["down", "-t", "kube", "--purge", "--yes"]);
    assert!(lab.server.get("Secret", Some(NAMESPACE), "card-secrets").is_none(), "and --purge does not");
}

/// Every field that is remembered, through every command that writes where it is deployed or what runs there.
#[test]
fn nothing_that_was_asked_for_is_forgotten_by_another_command() {
    let lab = Lab::new("lab");
    let more = [
        "--overlay",
        "medium",
        "--servers",
        "2",
        "--workers",
        "3",
        "--ingress",
        "cards.test",
        "--ingress-class",
        "nginx",
        "--tls",
        "--front",
        "shop=80",
        "--image",
        "redis=redis.test/redis:7",
        "--registry",
        "registry.test/cards",
        "--set",
        "worker.concurrency=64",
    ];
    assert_eq!(outside(&lab, &more).code, Some(124));
    let first = asked(&lab);
    for (name, value) in first.as_object().unwrap() {
        // What excludes another field, or is not a flag of this lab.
        let is_empty = matches!(name.as_str(), "autoscale" | "binaries");
        let says = !value.is_null() && *value != json!({}) && *value != json!([]) && *value != json!(false);
        assert!(says || is_empty, "{name} is not walked through here: {first}");
    }
    lab.deployed();
    assert_eq!(asked(&lab), first, "up");
    let file = lab.sandbox.work().join("all.yaml");
    let rendered = lab.sandbox.expect(
        0,
        &[
            "manifests",
            "render",
            "--allow-unpinned",
            "--image",
            "card-server=cards.test/card-server:1",
            "--image",
            "card-worker=cards.test/card-worker:1",
        ],
    );
    std::fs::write(&file, rendered.stdout).unwrap();
    lab.sandbox.expect(0, &["manifests", "apply", "-t", "kube", "--force-conflicts", "-f", file.to_str().unwrap()]);
    assert_eq!(asked(&lab), first, "manifests apply");
    lab.sandbox.expect(124, &["scale", "workers=4", "-t", "kube", "--wait-timeout", "1s"]);
    assert_eq!(asked(&lab), first, "scale");
    lab.deployed();
    assert_eq!(asked(&lab), first, "up after all of them");
    let settings = lab.server.all("ConfigMap").iter().map(ToString::to_string).collect::<String>();
    assert!(settings.contains("64"), "the setting is in force: {settings}");
    lab.sandbox.expect(124, &lab.up(&["--set", "worker.concurrency="]));
    assert_eq!(asked(&lab)["set"], json!({}), "forgotten when it is said");
}

/// Images that were built from binaries, or brought here, are what an `up` outside of the source tree means.
#[test]
fn images_that_are_kept_here_are_taken_where_there_is_nothing_to_build_from() {
    let lab = Lab::new("lab");
    let bin = lab.sandbox.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in crate::images::COMPONENTS {
        std::fs::write(bin.join(name), crate::images::program()).unwrap();
    }
    let authorities = lab.sandbox.path().join("ca.pem");
    std::fs::write(&authorities, "-----BEGIN CERTIFICATE-----\nof a test\n").unwrap();
    let up = ["up", "-d", "-t", "kube", "--context", "lab", "--wait-timeout", "1s"];
    let none = lab.sandbox.expect(3, &[&up[..], &["-o", "json"]].concat());
    assert_eq!(none.json()["error"]["code"], "no-source");
    let (bin, authorities) = (bin.to_str().unwrap(), authorities.to_str().unwrap());
    let built = ["images", "build", "--binaries", bin, "--certificates", authorities, "-o", "json"];
    let built = lab.sandbox.expect(0, &built).json();
    lab.sandbox.expect(124, &up);
    let image = deployment(&lab, "server")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let names = built["images"].as_array().unwrap().iter().map(ToString::to_string).collect::<String>();
    assert!(names.contains(image.as_str().unwrap()), "{image} of {names}");
}
