use serde_json::json;

use super::*;
use crate::validate::{unpinned, validate};
use crate::values::{Bounds, Ingress, Overlay, PullPolicy};
use crate::{Level, to_yaml};

const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn values(overlay: Overlay) -> Values {
    let mut values = Values::new(overlay);
    values.images.insert("card-server".into(), format!("ghcr.io/cards/card-server@{DIGEST}"));
    values.images.insert("card-worker".into(), "cardctl/card-worker:sha-0123456789ab".into());
    values
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

fn error(change: impl FnOnce(&mut Values)) -> String {
    let mut values = values(Overlay::Medium);
    change(&mut values);
    render(&values).unwrap_err().to_string()
}

#[test]
fn nothing_is_wrong_with_any_overlay_and_any_choice() {
    let bounds = Bounds { min: 2, max: 9 };
    for overlay in Overlay::ALL {
        for provision in [None, Some(Provision::Bundled), Some(Provision::External { port: Some(6432) })] {
            for scale in [None, Some(Scale::Fixed(3)), Some(Scale::Cpu(bounds)), Some(Scale::Backlog(bounds))] {
                let mut values = values(overlay);
                (values.database, values.redis, values.workers) = (provision, provision, scale);
                values.servers = scale.filter(|scale| !matches!(scale, Scale::Backlog(_)));
                values.ingress = Some(Ingress { host: "cards.test".into(), tls: true, class: None });
                values.settings.insert("server.drain-timeout".into(), "3m".into());
                let objects = render(&values).unwrap();
                assert_eq!(validate(&objects), [], "{values:?}");
                assert_eq!(unpinned(&objects), Vec::<String>::new());
                let bundled = provision.unwrap_or(match overlay {
                    Overlay::Ha => Provision::External { port: None },
                    _ => Provision::Bundled,
                }) == Provision::Bundled;
                assert_eq!(find(&objects, "StatefulSet", "postgres").is_some(), bundled);
                assert_eq!(find(&objects, "NetworkPolicy", "external-redis").is_some(), !bundled);
                let worker = &find(&objects, "Deployment", "worker").unwrap()["spec"];
                match scale {
                    Some(Scale::Fixed(replicas)) => assert_eq!(worker["replicas"], replicas),
                    Some(_) => assert_eq!(worker.get("replicas"), None),
                    None => assert!(worker["replicas"].is_u64()),
                }
            }
        }
    }
}

#[test]
fn the_same_values_are_the_same_text() {
    let render = |overlay| to_yaml(&render(&values(overlay)).unwrap());
    assert_eq!(render(Overlay::Large), render(Overlay::Large));
    assert!(!render(Overlay::Minikube).contains("null"));
}

#[test]
fn names_labels_and_addresses_follow_namespace_and_instance() {
    let mut values = values(Overlay::Small);
    (values.namespace, values.instance) = ("cards-two".into(), "two".into());
    values.workers = Some(Scale::Backlog(Bounds { min: 1, max: 4 }));
    values.settings.insert("autoscale.target-backlog".into(), "24".into());
    values.settings.insert("autoscale.target-age".into(), "500ms".into());
    let objects = render(&values).unwrap();
    for object in &objects {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "cardctl", "{object}");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "cardctl", "{object}");
        assert_eq!(labels["app.kubernetes.io/instance"], "two", "{object}");
        if object["kind"] == "Namespace" {
            assert_eq!(object["metadata"]["name"], "cards-two");
        } else {
            assert_eq!(object["metadata"]["namespace"], "cards-two", "{object}");
        }
    }
    let pod = &find(&objects, "Deployment", "server").unwrap()["spec"]["template"]["metadata"]["labels"];
    assert_eq!(pod["app.kubernetes.io/instance"], "two");
    let scaled = &find(&objects, "ScaledObject", "worker").unwrap()["spec"];
    assert_eq!((&scaled["minReplicaCount"], &scaled["maxReplicaCount"]), (&json!(1), &json!(4)));
    let triggers: Vec<_> = scaled["triggers"].as_array().unwrap().iter().map(|trigger| &trigger["metadata"]).collect();
    assert_eq!(triggers[0]["url"], "http://server.cards-two.svc:7400/scaling");
    assert_eq!((&triggers[0]["targetValue"], &triggers[1]["targetValue"]), (&json!("24"), &json!("500")));
}

#[test]
fn a_setting_is_a_variable_that_rolls_the_pods_and_gives_them_time() {
    let mut values = values(Overlay::Small);
    let before = render(&values).unwrap();
    values.settings.insert("worker.retry.max-attempts".into(), "9".into());
    values.settings.insert("server.drain-timeout".into(), "90s".into());
    let after = render(&values).unwrap();
    let config = |objects: &[Value]| {
        let is_meant = |name: &str| name.starts_with("card-settings-");
        let found = objects.iter().find(|object| object["metadata"]["name"].as_str().is_some_and(is_meant));
        found.unwrap().clone()
    };
    assert_eq!(config(&after)["data"]["CARDCTL_WORKER_RETRY_MAX_ATTEMPTS"], "9");
    let name = config(&after)["metadata"]["name"].clone();
    assert_ne!(config(&before)["metadata"]["name"], name);
    for component in ["server", "worker", "issuer"] {
        let pod = &find(&after, "Deployment", component).unwrap()["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["envFrom"][0]["configMapRef"]["name"], name);
        if component != "issuer" {
            assert_eq!(pod["terminationGracePeriodSeconds"], 115);
        }
    }
}

#[test]
fn what_else_was_said_is_where_it_belongs() {
    let mut values = values(Overlay::Minikube);
    values.images.insert("postgres".into(), "lab/postgres:1".into());
    values.images.insert("redis".into(), "lab/redis".into());
    values.pull_policy = Some(PullPolicy::IfNotPresent);
    values.node_port = Some(NodePort::At(30_400));
    values.prometheus = Some(false);
    (values.storage, values.storage_class) = (Some("1Gi".into()), Some("fast".into()));
    values.ingress = Some(Ingress { host: "cards.test".into(), tls: false, class: Some("nginx".into()) });
    let objects = render(&values).unwrap();
    let service = &find(&objects, "Service", "server").unwrap()["spec"];
    assert_eq!((&service["type"], &service["ports"][0]["nodePort"]), (&json!("NodePort"), &json!(30_400)));
    assert_eq!(service["ports"].as_array().unwrap().len(), 1);
    let claim = &find(&objects, "StatefulSet", "postgres").unwrap()["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(
        (&claim["resources"]["requests"]["storage"], &claim["storageClassName"]),
        (&json!("1Gi"), &json!("fast"))
    );
    assert!(find(&objects, "Deployment", "prometheus").is_none());
    let ingress = &find(&objects, "Ingress", "server").unwrap()["spec"];
    assert_eq!((&ingress["rules"][0]["host"], &ingress["ingressClassName"]), (&json!("cards.test"), &json!("nginx")));
    assert_eq!(ingress.get("tls"), None);
    for pod in ["server", "worker"] {
        let pod = &find(&objects, "Deployment", pod).unwrap()["spec"]["template"]["spec"];
        assert_eq!(pod["initContainers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
    }
    assert_eq!(unpinned(&objects), ["lab/postgres:1", "lab/redis:latest"]);
    assert!(validate(&objects).iter().all(|finding| finding.rule == "pinned-image" && finding.level == Level::Error));
}

#[test]
fn a_front_has_a_port_of_the_servers_a_service_and_a_way_in() {
    let fronts = ["card-replacer", "shop", "shop-management", "buy-list", "buy-list-management"];
    let render = |overlay, ports: &[(&str, Option<u16>)]| {
        let mut values = values(overlay);
        values.fronts = ports.iter().map(|(front, port)| ((*front).to_owned(), *port)).collect();
        let objects = render(&values).unwrap();
        assert_eq!(validate(&objects), []);
        objects
    };
    let without = to_yaml(&render(Overlay::Small, &[]));
    assert!(!without.contains("front"), "{without}");
    let objects = render(Overlay::Small, &fronts.map(|front| (front, None)));
    let server = &find(&objects, "Deployment", "server").unwrap()["spec"]["template"]["spec"]["containers"][0];
    for (front, port) in fronts.into_iter().zip([5000, 8081, 8080, 3000, 3001]) {
        let name = format!("server-{front}");
        let spec = &find(&objects, "Service", &name).unwrap()["spec"];
        let target = format!("front-{port}");
        assert_eq!(spec["type"], "ClusterIP");
        assert_eq!(spec["ports"], json!([{"name": "http", "port": port, "targetPort": target, "protocol": "TCP"}]));
        assert_eq!(spec["selector"], find(&objects, "Service", "server").unwrap()["spec"]["selector"]);
        let ports = server["ports"].as_array().unwrap();
        assert!(ports.contains(&json!({"name": target, "containerPort": port, "protocol": "TCP"})), "{ports:?}");
        let policy = &find(&objects, "NetworkPolicy", &name).unwrap()["spec"]["ingress"];
        let pods_of_the_cluster = json!([{"namespaceSelector": {}}]);
        assert_eq!(*policy, json!([{"from": pods_of_the_cluster, "ports": [{"protocol": "TCP", "port": port}]}]));
        let config = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        let variable = variable(&format!("fronts.{front}.port"));
        assert_eq!(config["data"][&variable], port.to_string());
    }

    // A port of its own is the Service's; and at the nodes where the API is.
    let objects = render(Overlay::Minikube, &[("buy-list", Some(80))]);
    let spec = &find(&objects, "Service", "server-buy-list").unwrap()["spec"];
    let port = &spec["ports"][0];
    assert_eq!(
        (&spec["type"], &port["port"], &port["targetPort"]),
        (&json!("NodePort"), &json!(80), &json!("front-3000"))
    );
    let policy = &find(&objects, "NetworkPolicy", "server-buy-list").unwrap()["spec"]["ingress"];
    assert_eq!(*policy, json!([{"ports": [{"protocol": "TCP", "port": 3000}]}]));
    assert!(find(&objects, "Service", "server-shop").is_none());
}

#[test]
fn an_image_that_nobody_named_is_not_made_up() {
    let error = render(&Values::new(Overlay::Small)).unwrap_err().to_string();
    assert!(error.starts_with("no image is given for card-server; set its reference"), "{error}");
}

#[test]
fn what_can_not_be_meant_is_refused_with_what_may_be_there() {
    for (message, reason) in [
        (error(|values| values.namespace = "Cards".into()), "namespace: must be at most 63"),
        (error(|values| values.instance = "a-".into()), "instance: must be"),
        (error(|values| values.workers = Some(Scale::Fixed(0))), "workers: must be at least 1"),
        (error(|values| values.workers = Some(Scale::Cpu(Bounds { min: 3, max: 2 }))), "workers: must be MIN..MAX"),
        (error(|values| values.servers = Some(Scale::Backlog(Bounds { min: 1, max: 2 }))), "servers: servers follow"),
        (error(|values| values.node_port = Some(NodePort::At(80))), "node-port: must be from 30000"),
        (error(|values| values.storage = Some("20".into())), "storage: must be a size"),
        (
            error(|values| {
                values.database = Some(Provision::External { port: None });
                values.storage = Some("1Gi".into());
            }),
            "storage: Postgres is external",
        ),
        (
            error(|values| values.ingress = Some(Ingress { host: "a b".into(), tls: true, class: None })),
            "ingress: must be a host name",
        ),
        (error(|values| drop(values.settings.insert("server.port".into(), "1".into()))), "set: server.port is fixed"),
        (
            error(|values| values.fronts = [("challenge".into(), None)].into()),
            "front: there is no front \"challenge\"; there are buy-list-management, ",
        ),
        (error(|values| values.fronts = [("shop".into(), Some(0))].into()), "front: the port must be from 1"),
        (
            error(|values| drop(values.settings.insert("fronts.shop.port".into(), "1".into()))),
            "set: fronts.shop.port is fixed",
        ),
        (error(|values| drop(values.settings.insert("x=y".into(), "1".into()))), "set: \"x=y\" is not a setting name"),
        (
            error(|values| drop(values.settings.insert("server.drain-timeout".into(), "soon".into()))),
            "set: server.drain",
        ),
        (
            error(|values| drop(values.images.insert("card-sever".into(), "a".into()))),
            "image: there is no image \"card-sever\"",
        ),
        (error(|values| drop(values.images.insert("server".into(), "a:1".into()))), "image: server is given twice"),
        (
            error(|values| drop(values.images.insert("redis".into(), "A B".into()))),
            "image: \"A B\" is not an image reference",
        ),
    ] {
        assert!(message.starts_with(reason), "{message}");
    }
}
