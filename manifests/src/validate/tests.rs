use serde_json::json;

use super::*;
use crate::kinds::text;
use crate::{Overlay, Values, render};

/// What is rendered, with one thing changed in one object.
fn found(kind: &str, name: &str, change: impl FnOnce(&mut Value)) -> Vec<(String, &'static str)> {
    let mut values = Values::new(Overlay::Medium);
    values.images.insert("server".into(), "a/card-server:sha-0123456789ab".into());
    values.images.insert("worker".into(), "a/card-worker:sha-0123456789ab".into());
    let mut objects = render(&values).unwrap();
    let is_meant =
        |object: &&mut Value| text(object, "kind") == kind && text(&object["metadata"], "name").starts_with(name);
    change(objects.iter_mut().find(is_meant).unwrap());
    let findings = validate(&objects);
    findings.into_iter().map(|finding| (format!("{} {}", finding.object, finding.path), finding.rule)).collect()
}

fn pod(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]
}

fn server(change: impl FnOnce(&mut Value)) -> Vec<(String, &'static str)> {
    let found = found("Deployment", "server", |object| change(&mut pod(object)["containers"][0]));
    found
        .into_iter()
        .map(|(at, rule)| (at.replace("deployment/server spec.template.spec.containers[0].", ""), rule))
        .collect()
}

fn one(at: &str, rule: &'static str) -> Vec<(String, &'static str)> {
    vec![(at.to_owned(), rule)]
}

fn remove(value: &mut Value, field: &str) {
    value.as_object_mut().unwrap().remove(field).unwrap();
}

#[test]
fn a_field_that_the_api_does_not_know_is_named_with_its_path() {
    assert_eq!(server(|container| container["imagePullPolcy"] = "Never".into()), one("imagePullPolcy", "schema"));
    let deep = server(|container| container["livenessProbe"]["httpGet"]["pth"] = "/".into());
    assert_eq!(deep, one("livenessProbe.httpGet.pth", "schema"));
    assert_eq!(server(|container| container["ports"][0]["containerPort"] = "http".into())[0].1, "schema");
    let replicas = found("Deployment", "worker", |object| object["spec"]["replicas"] = "2".into());
    assert_eq!(replicas, one("deployment/worker spec.replicas", "schema"));
    let target = found("HorizontalPodAutoscaler", "server", |object| object["spec"]["maxReplicas"] = Value::Null);
    assert!(target.contains(&("horizontalpodautoscaler/server spec.maxReplicas".to_owned(), "schema")), "{target:?}");
    let none = found("Service", "server", |object| object["spec"]["ports"] = json!([]));
    assert_eq!(none, one("service/server spec.ports[0].port", "schema"));
}

#[test]
fn what_is_custom_is_looked_at_too_and_what_is_not_known_is_said() {
    let scaled = |change: fn(&mut Value)| {
        let mut object = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "s"},
            "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [{"type": "cpu", "metadata": {"value": "1"}}]}});
        change(&mut object);
        validate(&[object]).into_iter().map(|finding| (finding.path, finding.rule)).collect::<Vec<_>>()
    };
    assert_eq!(scaled(|_| {}), []);
    assert_eq!(scaled(|object| object["spec"]["maxReplicas"] = 3.into()), one("spec.maxReplicas", "schema"));
    assert_eq!(
        scaled(|object| object["spec"]["triggers"][0]["metadata"]["value"] = 1.into()),
        one("spec.triggers[0].metadata.value", "schema")
    );
    let unknown = validate(&[json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w"}})]);
    assert_eq!((unknown[0].rule, unknown[0].level), ("unknown-kind", Level::Note));
}

#[test]
fn every_part_of_the_restricted_policy_is_insisted_on() {
    for (field, value) in [
        ("allowPrivilegeEscalation", json!(true)),
        ("privileged", json!(true)),
        ("runAsNonRoot", json!(false)),
        ("runAsUser", json!(0)),
        ("capabilities", json!({"drop": ["NET_RAW"]})),
        ("seccompProfile", json!({"type": "Unconfined"})),
    ] {
        let found = server(|container| container["securityContext"][field] = value);
        assert_eq!(found, one(&format!("securityContext.{field}"), "restricted"));
    }
    let added = server(|container| container["securityContext"]["capabilities"]["add"] = json!(["SYS_ADMIN"]));
    assert_eq!(added, one("securityContext.capabilities.add", "restricted"));
    let writable = server(|container| remove(&mut container["securityContext"], "readOnlyRootFilesystem"));
    assert_eq!(writable, one("securityContext.readOnlyRootFilesystem", "read-only-root"));
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        let found = found("Deployment", "server", |object| pod(object)[field] = true.into());
        assert_eq!(found, one(&format!("deployment/server spec.template.spec.{field}"), "restricted"));
    }
    let host = json!({"name": "h", "hostPath": {"path": "/"}});
    let volume = found("Deployment", "issuer", |object| pod(object)["volumes"].as_array_mut().unwrap().push(host));
    assert_eq!(volume, one("deployment/issuer spec.template.spec.volumes[1]", "restricted"));
    let token = found("Deployment", "server", |object| remove(pod(object), "automountServiceAccountToken"));
    assert_eq!(token[0].1, "token");
    let account = found("Deployment", "server", |object| pod(object)["serviceAccountName"] = "default".into());
    assert_eq!(account[0].1, "account");
}

#[test]
fn images_probes_and_requests_are_insisted_on() {
    for image in ["a/card-server:latest", "a/card-server:1.2", "a/card-server"] {
        assert_eq!(server(|container| container["image"] = image.into()), one("image", "pinned-image"));
    }
    for probe in ["readinessProbe", "livenessProbe"] {
        assert_eq!(server(|container| remove(container, probe)), one(probe, "probes"));
    }
    assert_eq!(
        server(|container| remove(&mut container["resources"], "limits")),
        one("resources.limits.memory", "resources")
    );
    assert_eq!(server(|container| remove(container, "resources")).len(), 3);
}

#[test]
fn who_is_to_finish_work_is_given_the_time() {
    let grace = |seconds: u64| {
        found("Deployment", "server", |object| pod(object)["terminationGracePeriodSeconds"] = seconds.into())
    };
    assert_eq!(grace(35), one("deployment/server spec.template.spec.terminationGracePeriodSeconds", "grace"));
    assert_eq!(grace(36), []);
}

#[test]
fn of_pods_with_an_autoscaler_nobody_else_says_how_many() {
    let both = found("Deployment", "server", |object| object["spec"]["replicas"] = 2.into());
    assert_eq!(both, one("deployment/server spec.replicas", "replicas"));
    let two = found("HorizontalPodAutoscaler", "server", |object| {
        object["spec"]["scaleTargetRef"]["name"] = "worker".into();
    });
    assert_eq!(two, one("deployment/worker spec.replicas", "replicas"));
    let strangers = found("Deployment", "server", |object| {
        object["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = "x".into();
    });
    assert_eq!(strangers, one("deployment/server spec.selector.matchLabels", "selector"));
}

#[test]
fn a_secret_is_found_wherever_it_hides_and_not_shown() {
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hunter2"}});
    let url = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"},
        "data": {"a": "x postgres://card:hunter2@db/cards y", "b": "postgres://card:$PASSWORD@db/cards http://a:80/@"}});
    let findings = validate(&[secret, url]);
    let found: Vec<_> = findings.iter().map(|finding| (finding.path.as_str(), finding.rule)).collect();
    assert_eq!(found, [("stringData", "secret-value"), ("data.a", "secret-value")]);
    for (name, variable) in [
        ("literal", json!({"name": "CARDCTL_OPERATOR_TOKEN", "value": "hunter2"})),
        ("reference", json!({"name": "CARDCTL_DATABASE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}})),
    ] {
        let found = server(|container| container["env"] = json!([variable]));
        assert_eq!(found, one("env[0]", "secret-value"), "{name}");
    }
    assert!(!format!("{findings:?}").contains("hunter2"));
}

#[test]
fn what_is_for_operators_is_not_let_out_by_an_ingress() {
    let ingress = |path: &str, kind: &str| {
        let paths = json!([{"path": path, "pathType": kind, "backend": {"service": {"name": "server", "port": {"number": 1}}}}]);
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
            "spec": {"rules": [{"http": {"paths": paths}}]}});
        validate(&[object]).len()
    };
    assert_eq!((ingress("/", "Prefix"), ingress("/metrics", "Exact"), ingress("/scaling", "Prefix")), (1, 1, 1));
    assert_eq!((ingress("/", "Exact"), ingress("/api", "Prefix")), (0, 0));
}
