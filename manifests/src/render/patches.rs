//! What was said, as patches.

use std::time::Duration;

use serde_json::{Value, json};

use super::TLS_SECRET;
use super::check::{drain, seconds};
use crate::kustomize::{Resource, patch};
use crate::values::{Bounds, Ingress, NodePort, Provision, Scale, Values};

/// A stop takes the preStop, the drain, and this to close what is left.
const CLOSE: Duration = Duration::from_secs(25);
/// Those that are to finish what is in flight.
const DRAINED: [&str; 2] = ["server", "worker"];

pub(super) fn all(values: &Values, resources: &mut Vec<Resource>) -> Result<(), String> {
    let mut patches = Vec::new();
    scale("server", values.servers, &mut patches);
    scale("worker", values.workers, &mut patches);
    if let Some(policy) = values.pull_policy {
        patches.extend(["server", "worker", "issuer"].map(|name| pull(name, policy.name())));
    }
    match values.node_port {
        Some(NodePort::At(port)) => patches.push(object(
            "v1",
            "Service",
            "server",
            json!({"type": "NodePort", "ports": [{"port": 7400, "protocol": "TCP", "nodePort": port}]}),
        )),
        Some(NodePort::Off | NodePort::Any) | None => {}
    }
    for (name, provision) in [("external-postgres", values.database), ("external-redis", values.redis)] {
        if let Some(Provision::External { port: Some(port) }) = provision {
            let ports = json!([{"ports": [{"protocol": "TCP", "port": port}]}]);
            patches.push(object("networking.k8s.io/v1", "NetworkPolicy", name, json!({"egress": ports})));
        }
    }
    if let Some(Some(drain)) = drain(values) {
        patches.extend(
            DRAINED.map(|name| {
                deployment(name, json!({"terminationGracePeriodSeconds": (drain + CLOSE).as_secs().max(60)}))
            }),
        );
    }
    for each in &patches {
        patch(each, resources)?;
    }
    if let Some(said) = &values.ingress {
        ingress(said, resources);
    }
    fronts(values, resources);
    volume(values, resources);
    keda(values, resources);
    Ok(())
}

fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn deployment(name: &str, pod: Value) -> Value {
    object("apps/v1", "Deployment", name, json!({"template": {"spec": pod}}))
}

fn scale(name: &str, scale: Option<Scale>, patches: &mut Vec<Value>) {
    match scale {
        Some(Scale::Fixed(replicas)) => {
            patches.push(object("apps/v1", "Deployment", name, json!({"replicas": replicas})));
        }
        Some(Scale::Cpu(Bounds { min, max })) => {
            let bounds = json!({"minReplicas": min, "maxReplicas": max});
            patches.push(object("autoscaling/v2", "HorizontalPodAutoscaler", name, bounds));
        }
        Some(Scale::Backlog(Bounds { min, max })) => {
            let bounds = json!({"minReplicaCount": min, "maxReplicaCount": max});
            patches.push(object("keda.sh/v1alpha1", "ScaledObject", name, bounds));
        }
        None => {}
    }
}

fn pull(name: &str, policy: &str) -> Value {
    let mut pod = json!({"containers": [{"name": name, "imagePullPolicy": policy}]});
    if name != "issuer" {
        pod["initContainers"] = json!([{"name": "migrate", "imagePullPolicy": policy}]);
    }
    deployment(name, pod)
}

fn find<'a>(resources: &'a mut [Resource], kind: &str, name: &str) -> Option<&'a mut Value> {
    resources.iter_mut().find(|resource| resource.is(kind, name)).map(|resource| &mut resource.object)
}

fn ingress(said: &Ingress, resources: &mut [Resource]) {
    let Some(object) = find(resources, "Ingress", "server") else { return };
    object["spec"]["rules"][0]["host"] = said.host.as_str().into();
    if said.tls {
        object["spec"]["tls"] = json!([{"hosts": [said.host], "secretName": TLS_SECRET}]);
    } else if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("tls");
    }
    if let Some(class) = &said.class {
        object["spec"]["ingressClassName"] = class.as_str().into();
    }
}

/// Where the API has a port of the nodes, so have the fronts; who comes that way can't be told apart.
fn fronts(values: &Values, resources: &mut [Resource]) {
    let has_node_port = find(resources, "Service", "server").is_some_and(|api| api["spec"]["type"] == "NodePort");
    for (front, port) in &values.fronts {
        let name = format!("server-{front}");
        if let Some(service) = find(resources, "Service", &name) {
            if let Some(port) = port {
                service["spec"]["ports"][0]["port"] = (*port).into();
            }
            if has_node_port {
                service["spec"]["type"] = "NodePort".into();
            }
        }
        if has_node_port
            && let Some(policy) = find(resources, "NetworkPolicy", &name)
            && let Some(rule) = policy["spec"]["ingress"][0].as_object_mut()
        {
            rule.remove("from");
        }
    }
}

fn volume(values: &Values, resources: &mut [Resource]) {
    let Some(object) = find(resources, "StatefulSet", "postgres") else { return };
    let claim = &mut object["spec"]["volumeClaimTemplates"][0]["spec"];
    if let Some(size) = &values.storage {
        claim["resources"]["requests"]["storage"] = size.as_str().into();
    }
    if let Some(class) = &values.storage_class {
        claim["storageClassName"] = class.as_str().into();
    }
}

/// KEDA asks from another namespace, so its URLs name this one; and its targets are the platform's settings.
fn keda(values: &Values, resources: &mut [Resource]) {
    let Some(object) = find(resources, "ScaledObject", "worker") else { return };
    let backlog = values.settings.get("autoscale.target-backlog").cloned();
    let age = values.settings.get("autoscale.target-age").and_then(|text| milliseconds(text));
    for trigger in object["spec"]["triggers"].as_array_mut().into_iter().flatten() {
        let metadata = &mut trigger["metadata"];
        metadata["url"] = format!("http://server.{}.svc:7400/scaling", values.namespace).into();
        let target = if metadata["valueLocation"] == "backlog" { &backlog } else { &age };
        if let Some(target) = target {
            metadata["targetValue"] = target.as_str().into();
        }
    }
}

fn milliseconds(text: &str) -> Option<String> {
    match text.strip_suffix("ms") {
        Some(number) => number.parse::<u64>().ok().map(|number| number.to_string()),
        None => seconds(text).map(|age| age.as_millis().to_string()),
    }
}
