//! What the API refuses although its types take it: names, keys, numbers out of range, words that are none of those there are,
//! parts that refer to nothing. From the validation of Kubernetes 1.33 (`pkg/apis/*/validation`), as far as the kinds that are
//! known here have it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::{Finding, Level, finding};
use crate::kinds::{pod_template, text};

const RULE: &str = "invalid";

/// Of an object that its type has read.
pub(super) fn check(object: &Value) -> Vec<Finding> {
    let mut look = Look { object, findings: Vec::new() };
    look.metadata(&object["metadata"], "metadata");
    let spec = &object["spec"];
    match text(object, "kind") {
        "ConfigMap" => look.keys(&["data", "binaryData"]),
        "Secret" => look.keys(&["data", "stringData"]),
        "Service" => look.service(spec),
        "Ingress" => look.ingress(spec),
        "HorizontalPodAutoscaler" => look.bounds(spec),
        "PodDisruptionBudget" => look.budget(spec),
        "NetworkPolicy" => look.policy(spec),
        "Deployment" | "StatefulSet" => look.insist(
            spec["replicas"].as_i64().is_none_or(|replicas| replicas >= 0),
            "spec.replicas",
            "must not be below 0",
        ),
        "CronJob" => {
            let schedule = text(spec, "schedule");
            let fields = schedule.split_whitespace().count();
            let is_one = schedule.starts_with('@') || fields == 5 || fields == 6 && schedule.starts_with("TZ=");
            look.insist(is_one, "spec.schedule", "must be five cron fields, or a name such as @daily");
        }
        _ => {}
    }
    let kind = text(object, "kind");
    let path =
        pod_template(kind).map(|path| format!("{path}/spec")).or_else(|| (kind == "Pod").then(|| "/spec".to_owned()));
    if let Some((path, pod)) = path.and_then(|path| Some((path.clone(), object.pointer(&path)?))) {
        look.pod(pod, &path.trim_start_matches('/').replace('/', "."), kind);
    }
    look.findings
}

struct Look<'a> {
    object: &'a Value,
    findings: Vec<Finding>,
}

fn list(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

impl Look<'_> {
    fn insist(&mut self, holds: bool, at: impl Into<String>, message: &str) {
        if !holds {
            self.findings.push(finding(self.object, RULE, Level::Error, at, message));
        }
    }

    fn one_of(&mut self, value: &Value, words: &[&str], at: String) {
        let holds = value.is_null() || value.as_str().is_some_and(|word| words.contains(&word));
        self.insist(holds, at, &format!("must be one of {}", words.join(", ")));
    }

    fn port(&mut self, value: &Value, at: String) {
        let holds = value.as_i64().is_none_or(|port| (1..=65_535).contains(&port));
        self.insist(holds, at, "must be from 1 to 65535");
    }

    fn metadata(&mut self, metadata: &Value, at: &str) {
        let name = text(metadata, "name");
        let holds = match text(self.object, "kind") {
            "Namespace" => is_label(name),
            "Service" => is_label(name) && name.starts_with(|letter: char| letter.is_ascii_lowercase()),
            "Role" | "RoleBinding" => !name.contains(['/', '%']) && name != "." && name != "..",
            _ => is_name(name),
        };
        self.insist(holds, format!("{at}.name"), "is not a valid name: a-z, 0-9, - and, for most kinds, dots");
        let namespace = text(metadata, "namespace");
        self.insist(namespace.is_empty() || is_label(namespace), format!("{at}.namespace"), "is not a namespace name");
        self.labels(&metadata["labels"], &format!("{at}.labels"));
        for key in metadata["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
            self.insist(is_qualified(key), format!("{at}.annotations.{key}"), "is not an annotation key");
        }
    }

    fn labels(&mut self, labels: &Value, at: &str) {
        for (key, value) in labels.as_object().into_iter().flatten() {
            self.insist(is_qualified(key), format!("{at}.{key}"), "is not a label key");
            let value = value.as_str().unwrap_or_default();
            let holds = value.is_empty() || is_part(value);
            self.insist(holds, format!("{at}.{key}"), "must be at most 63 of letters, digits, -, _ and .");
        }
    }

    fn keys(&mut self, fields: &[&str]) {
        let mut seen = BTreeSet::new();
        for field in fields {
            for key in self.object[*field].as_object().into_iter().flatten().map(|(key, _)| key) {
                let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                let holds = !key.is_empty()
                    && key.len() <= 253
                    && key.bytes().all(good)
                    && key != "."
                    && !key.starts_with("..");
                self.insist(holds, format!("{field}.{key}"), "a key must be of letters, digits, -, _ and .");
                let once = seen.insert(key) || text(self.object, "kind") == "Secret";
                self.insist(once, format!("{field}.{key}"), "is in data as well");
            }
        }
    }

    fn service(&mut self, spec: &Value) {
        self.one_of(&spec["type"], &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"], "spec.type".to_owned());
        let several = spec["ports"].as_array().is_some_and(|ports| ports.len() > 1);
        let mut names = BTreeSet::new();
        for (index, port) in list(&spec["ports"]) {
            let at = |field: &str| format!("spec.ports[{index}].{field}");
            self.port(&port["port"], at("port"));
            self.port(&port["targetPort"], at("targetPort"));
            self.one_of(&port["protocol"], &["TCP", "UDP", "SCTP"], at("protocol"));
            let name = text(port, "name");
            self.insist(
                !several || is_label(name) && names.insert(name),
                at("name"),
                "each of several ports has a name of its own",
            );
        }
    }

    fn ingress(&mut self, spec: &Value) {
        for (index, rule) in list(&spec["rules"]) {
            let host = text(rule, "host");
            let at = format!("spec.rules[{index}].host");
            self.insist(host.parse::<IpAddr>().is_err(), at.clone(), "must be the name of a host, not an address");
            let name = host.strip_prefix("*.").unwrap_or(host);
            self.insist(host.is_empty() || is_name(name), at, "must be the name of a host such as cards.example.com");
            for (number, entry) in list(&rule["http"]["paths"]) {
                let at = |field: &str| format!("spec.rules[{index}].http.paths[{number}].{field}");
                let path = text(entry, "path");
                let free = text(entry, "pathType") == "ImplementationSpecific" && path.is_empty();
                self.insist(
                    free || path.starts_with('/') && !path.contains("//"),
                    at("path"),
                    "must begin with a slash",
                );
                self.insist(!entry["pathType"].is_null(), at("pathType"), "required field is missing");
                self.one_of(&entry["pathType"], &["Exact", "Prefix", "ImplementationSpecific"], at("pathType"));
                self.backend(&entry["backend"], &at("backend"));
            }
        }
        for (index, tls) in list(&spec["tls"]) {
            for (number, host) in list(&tls["hosts"]) {
                let host = host.as_str().unwrap_or_default();
                let holds = host.parse::<IpAddr>().is_err() && is_name(host.strip_prefix("*.").unwrap_or(host));
                self.insist(
                    holds,
                    format!("spec.tls[{index}].hosts[{number}]"),
                    "must be the name of a host, not an address",
                );
            }
        }
    }

    fn backend(&mut self, backend: &Value, at: &str) {
        if !backend["resource"].is_null() {
            return;
        }
        let service = &backend["service"];
        self.insist(is_label(text(service, "name")), format!("{at}.service.name"), "must be the name of a service");
        let port = &service["port"];
        let both = port["number"].is_null() == port["name"].is_null();
        self.insist(!both, format!("{at}.service.port"), "must have either a name or a number");
        self.port(&port["number"], format!("{at}.service.port.number"));
    }

    fn bounds(&mut self, spec: &Value) {
        let least = spec["minReplicas"].as_i64().unwrap_or(1);
        let most = spec["maxReplicas"].as_i64();
        self.insist(least >= 1, "spec.minReplicas", "must be at least 1");
        self.insist(most.is_none_or(|most| most >= least), "spec.maxReplicas", "must not be below minReplicas");
    }

    fn budget(&mut self, spec: &Value) {
        let both = !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null();
        self.insist(!both, "spec", "has minAvailable and maxUnavailable, of which only one may be there");
    }

    fn policy(&mut self, spec: &Value) {
        for (index, kind) in list(&spec["policyTypes"]) {
            self.one_of(kind, &["Ingress", "Egress"], format!("spec.policyTypes[{index}]"));
        }
        for way in ["ingress", "egress"] {
            for (index, rule) in list(&spec[way]) {
                for (number, port) in list(&rule["ports"]) {
                    let at = |field: &str| format!("spec.{way}[{index}].ports[{number}].{field}");
                    self.port(&port["port"], at("port"));
                    self.one_of(&port["protocol"], &["TCP", "UDP", "SCTP"], at("protocol"));
                }
            }
        }
    }

    fn pod(&mut self, pod: &Value, at: &str, kind: &str) {
        let policies: &[&str] = match kind {
            "Deployment" | "StatefulSet" | "DaemonSet" => &["Always"],
            "Job" | "CronJob" => &["OnFailure", "Never"],
            _ => &["Always", "OnFailure", "Never"],
        };
        self.one_of(&pod["restartPolicy"], policies, format!("{at}.restartPolicy"));
        let claims =
            list(&self.object["spec"]["volumeClaimTemplates"]).map(|(_, claim)| text(&claim["metadata"], "name"));
        let mut volumes: BTreeSet<&str> = claims.collect();
        for (index, volume) in list(&pod["volumes"]) {
            let name = text(volume, "name");
            let message = "a volume needs a name of its own, of a-z, 0-9 and -";
            self.insist(is_label(name) && volumes.insert(name), format!("{at}.volumes[{index}].name"), message);
        }
        let mut names = BTreeSet::new();
        for field in ["initContainers", "containers"] {
            for (index, container) in list(&pod[field]) {
                let at = format!("{at}.{field}[{index}]");
                let name = text(container, "name");
                let message = "a container needs a name of its own, of a-z, 0-9 and -";
                self.insist(is_label(name) && names.insert(name), format!("{at}.name"), message);
                self.container(container, &at, &volumes);
            }
        }
    }

    fn container(&mut self, container: &Value, at: &str, volumes: &BTreeSet<&str>) {
        self.insist(!text(container, "image").is_empty(), format!("{at}.image"), "required field is missing");
        self.one_of(
            &container["imagePullPolicy"],
            &["Always", "IfNotPresent", "Never"],
            format!("{at}.imagePullPolicy"),
        );
        for (index, port) in list(&container["ports"]) {
            self.port(&port["containerPort"], format!("{at}.ports[{index}].containerPort"));
            self.one_of(&port["protocol"], &["TCP", "UDP", "SCTP"], format!("{at}.ports[{index}].protocol"));
        }
        for (index, variable) in list(&container["env"]) {
            let name = text(variable, "name");
            let good = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
            let holds = !name.is_empty() && name.bytes().all(good);
            self.insist(holds, format!("{at}.env[{index}].name"), "is not a variable name");
            let both = !variable["valueFrom"].is_null() && !text(variable, "value").is_empty();
            self.insist(
                !both,
                format!("{at}.env[{index}]"),
                "has a value and valueFrom, of which only one may be there",
            );
        }
        let mut paths = BTreeSet::new();
        for (index, mount) in list(&container["volumeMounts"]) {
            let at = |field: &str| format!("{at}.volumeMounts[{index}].{field}");
            self.insist(volumes.contains(text(mount, "name")), at("name"), "there is no such volume");
            let path = text(mount, "mountPath");
            self.insist(!path.is_empty() && paths.insert(path), at("mountPath"), "is required exactly once");
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            let ways = ["httpGet", "tcpSocket", "exec", "grpc"]
                .iter()
                .filter(|way| !container[probe][**way].is_null())
                .count();
            let holds = container[probe].is_null() || ways == 1;
            self.insist(holds, format!("{at}.{probe}"), "must have one of httpGet, tcpSocket, exec, grpc");
        }
        let resources = &container["resources"];
        for side in ["requests", "limits"] {
            for (name, amount) in resources[side].as_object().into_iter().flatten() {
                let at = format!("{at}.resources.{side}.{name}");
                self.insist(quantity(amount).is_some(), at, "is not a quantity such as 250m or 64Mi");
            }
        }
        for (name, limit) in resources["limits"].as_object().into_iter().flatten() {
            let over =
                quantity(&resources["requests"][name]).zip(quantity(limit)).is_some_and(|(asked, most)| asked > most);
            self.insist(!over, format!("{at}.resources.requests.{name}"), "must not be more than its limit");
        }
    }
}

/// A label of DNS (RFC 1123).
fn is_label(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let good = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    bytes.len() <= 63 && bytes.iter().all(good) && edge(bytes.first()) && edge(bytes.last())
}

/// Parts of a-z, 0-9 and - with dots between them (RFC 1123, but for the length of a part, which the API does not look at).
fn is_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let part = |part: &str| edge(part.as_bytes().first()) && edge(part.as_bytes().last());
    name.len() <= 253 && name.bytes().all(good) && name.split('.').all(part)
}

/// A value of a label, or the name of a key.
fn is_part(value: &str) -> bool {
    let bytes = value.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    bytes.len() <= 63 && bytes.iter().all(good) && edge(bytes.first()) && edge(bytes.last())
}

/// `name`, or `domain/name`.
fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => is_name(&domain.to_ascii_lowercase()) && is_part(name),
        None => is_part(key),
    }
}

/// An amount, in its smallest unit of a thousandth. None if it is none.
fn quantity(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let end = text.find(|character: char| !matches!(character, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        _ => 10_f64.powi(unit.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    number.parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(object: &Value) -> Vec<String> {
        check(object).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn what_a_cluster_would_refuse_is_named_by_its_path() {
        let service = |port: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [port]}});
        let ingress = |host: &str, path: &str| {
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"}, "spec": {"rules": [{"host": host,
                "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
        };
        let pod = |container: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"volumes": [{"name": "v"}], "containers": [container]}});
        let named = |kind: &str, metadata: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        for (object, wanted) in [
            (ingress("192.168.49.2", "/"), vec!["spec.rules[0].host"]),
            (ingress("::1", "/"), vec!["spec.rules[0].host", "spec.rules[0].host"]),
            (ingress("*.cards.example.com", "/"), vec![]),
            (ingress("cards_example", "cards"), vec!["spec.rules[0].host", "spec.rules[0].http.paths[0].path"]),
            (service(json!({"port": 80, "targetPort": "http"})), vec![]),
            (service(json!({"port": 70000, "protocol": "HTTP"})), vec!["spec.ports[0].port", "spec.ports[0].protocol"]),
            (named("ConfigMap", json!({"name": "A"})), vec!["metadata.name"]),
            (named("ConfigMap", json!({"name": "a.b-c", "labels": {"a/b": "c", "d": "-"}})), vec!["metadata.labels.d"]),
            (named("ConfigMap", json!({"name": "a", "annotations": {"a b": "c"}})), vec!["metadata.annotations.a b"]),
            (named("Namespace", json!({"name": "a.b"})), vec!["metadata.name"]),
            (named("Role", json!({"name": "system:a"})), vec![]),
            (json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a b": "x", "c": "y"}}), vec!["data.a b"]),
            (pod(json!({"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]})), vec![]),
            (
                pod(json!({"name": "c", "image": "i", "volumeMounts": [{"name": "w", "mountPath": "/v"}]})),
                vec!["spec.containers[0].volumeMounts[0].name"],
            ),
            (pod(json!({"name": "C"})), vec!["spec.containers[0].name", "spec.containers[0].image"]),
            (
                pod(
                    json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": "2", "memory": "1Mi"}, "limits": {"cpu": "500m", "memory": "1x"}}}),
                ),
                vec!["spec.containers[0].resources.limits.memory", "spec.containers[0].resources.requests.cpu"],
            ),
            (
                pod(json!({"name": "c", "image": "i", "livenessProbe": {"periodSeconds": 1}})),
                vec!["spec.containers[0].livenessProbe"],
            ),
            (
                json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"minReplicas": 3, "maxReplicas": 2}}),
                vec!["spec.maxReplicas"],
            ),
            (
                json!({"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}}),
                vec!["spec"],
            ),
            (
                json!({"kind": "CronJob", "metadata": {"name": "c"}, "spec": {"schedule": "* * *"}}),
                vec!["spec.schedule"],
            ),
        ] {
            assert_eq!(paths(&object), wanted, "{object}");
        }
    }
}
