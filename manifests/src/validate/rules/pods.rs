//! What pods may and must: as little as they need, images that stay what they are, probes, requests, time to stop.

use std::time::Duration;

use serde_json::Value;

use super::super::{Finding, Level, finding};
use crate::image::Image;
use crate::kinds::text;
use crate::render::seconds;

/// Checks the pods that an object makes; `path` is the JSON pointer of their spec.
pub(super) fn check(object: &Value, path: &str, all: &[Value]) -> Vec<Finding> {
    let Some(pod) = object.pointer(path) else { return Vec::new() };
    let at = path.trim_start_matches('/').replace('/', ".");
    let mut look = Look { object, findings: Vec::new() };
    look.pod(pod, &at);
    let runs_on = !matches!(text(object, "kind"), "Job" | "CronJob" | "Pod");
    for (list, begins) in [("initContainers", true), ("containers", false)] {
        for (index, container) in pod[list].as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}.{list}[{index}]");
            look.container(pod, container, &at);
            if runs_on && !begins {
                look.probes(container, &at);
                look.grace(
                    pod,
                    container,
                    &format!("{}.terminationGracePeriodSeconds", path.trim_start_matches('/').replace('/', ".")),
                    all,
                );
            }
        }
    }
    look.findings
}

struct Look<'a> {
    object: &'a Value,
    findings: Vec<Finding>,
}

impl Look<'_> {
    fn insist(&mut self, holds: bool, rule: &'static str, level: Level, at: String, message: &str) {
        if !holds {
            self.findings.push(finding(self.object, rule, level, at, message));
        }
    }

    fn pod(&mut self, pod: &Value, at: &str) {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            self.insist(
                pod[field] != true,
                "restricted",
                Level::Error,
                format!("{at}.{field}"),
                "pods must not share anything with their node",
            );
        }
        let allowed = [
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
            "secret",
        ];
        for (index, volume) in pod["volumes"].as_array().into_iter().flatten().enumerate() {
            let other = volume
                .as_object()
                .into_iter()
                .flatten()
                .find(|(field, _)| *field != "name" && !allowed.contains(&field.as_str()));
            if let Some((field, _)) = other {
                let message = format!("a volume of the kind {field} is not allowed by the restricted policy");
                self.insist(false, "restricted", Level::Error, format!("{at}.volumes[{index}]"), &message);
            }
        }
        let account = text(pod, "serviceAccountName");
        let message = "a pod that does not use the API server needs no token; set automountServiceAccountToken: false";
        let has_no_token = pod["automountServiceAccountToken"] == false;
        self.insist(has_no_token, "token", Level::Warning, format!("{at}.automountServiceAccountToken"), message);
        let message = "a pod with the default account gets every permission of that account; use a separate account";
        self.insist(
            !matches!(account, "" | "default"),
            "account",
            Level::Warning,
            format!("{at}.serviceAccountName"),
            message,
        );
    }

    fn container(&mut self, pod: &Value, container: &Value, at: &str) {
        let own = &container["securityContext"];
        let of_pod = &pod["securityContext"];
        let either = |field: &str| if own[field].is_null() { of_pod[field].clone() } else { own[field].clone() };
        let restricted = [
            (either("runAsNonRoot") == true, "runAsNonRoot", "set runAsNonRoot: true, here or for the pod"),
            (
                either("runAsUser").as_u64().is_some_and(|user| user > 0),
                "runAsUser",
                "name a numeric user other than 0, here or for the pod: the kubelet can't tell whether a name is root",
            ),
            (
                matches!(text(&either("seccompProfile"), "type"), "RuntimeDefault" | "Localhost"),
                "seccompProfile",
                "set seccompProfile: {type: RuntimeDefault}, here or for the pod",
            ),
            (
                own["allowPrivilegeEscalation"] == false,
                "allowPrivilegeEscalation",
                "set allowPrivilegeEscalation: false",
            ),
            (own["privileged"] != true, "privileged", "a privileged container is root on its node"),
            (
                own["capabilities"]["drop"].as_array().is_some_and(|drop| drop.iter().any(|each| each == "ALL")),
                "capabilities",
                "set capabilities: {drop: [ALL]}",
            ),
            (
                own["capabilities"]["add"]
                    .as_array()
                    .is_none_or(|add| add.iter().all(|each| each == "NET_BIND_SERVICE")),
                "capabilities.add",
                "no capability but NET_BIND_SERVICE may be added",
            ),
        ];
        for (holds, field, message) in restricted {
            self.insist(holds, "restricted", Level::Error, format!("{at}.securityContext.{field}"), message);
        }
        let message = "set readOnlyRootFilesystem: true, with an emptyDir for the paths it writes to";
        let is_read_only = own["readOnlyRootFilesystem"] == true;
        self.insist(
            is_read_only,
            "read-only-root",
            Level::Error,
            format!("{at}.securityContext.readOnlyRootFilesystem"),
            message,
        );
        let image = text(container, "image");
        let message = format!("{image:?} can change at any time; add its digest: {image}@sha256:DIGEST");
        let is_pinned = Image::parse(image).is_some_and(|image| image.is_pinned());
        self.insist(is_pinned, "pinned-image", Level::Error, format!("{at}.image"), &message);
        let resources = &container["resources"];
        for (kind, resource, why) in [
            ("requests", "cpu", "without it, neither scheduling nor autoscaling works"),
            ("requests", "memory", "without it, the scheduler can't choose a node"),
            ("limits", "memory", "without it, one container can use all memory of its node"),
        ] {
            let is_there = !resources[kind][resource].is_null();
            self.insist(is_there, "resources", Level::Error, format!("{at}.resources.{kind}.{resource}"), why);
        }
    }

    fn probes(&mut self, container: &Value, at: &str) {
        for (probe, why) in [
            ("readinessProbe", "without it, requests arrive before the container is ready"),
            ("livenessProbe", "without it, a hung container is never restarted"),
        ] {
            self.insist(!container[probe].is_null(), "probes", Level::Error, format!("{at}.{probe}"), why);
        }
    }

    /// Of those that read the platform's settings: what they are given to finish must be less than what the kubelet gives them.
    fn grace(&mut self, pod: &Value, container: &Value, at: &str, all: &[Value]) {
        // The issuer has its own five seconds.
        if container["args"][0] == "issuer" {
            return;
        }
        let Some(drain) = drain(container, all) else { return };
        let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or(0);
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        let needed = drain.as_secs() + sleep;
        let message = format!(
            "{grace} s is too short: it sleeps {sleep} s before it stops and then takes up to {} s (server.drain-timeout); more than {needed} s are needed",
            drain.as_secs()
        );
        self.insist(grace > needed, "grace", Level::Error, at.to_owned(), &message);
    }
}

/// `server.drain-timeout` of a container that reads its settings from a ConfigMap among the objects.
fn drain(container: &Value, all: &[Value]) -> Option<Duration> {
    let sources = container["envFrom"].as_array()?.iter();
    let mut names = sources.filter_map(|source| source["configMapRef"]["name"].as_str());
    names.find_map(|name| {
        let is_meant = |object: &&Value| text(object, "kind") == "ConfigMap" && object["metadata"]["name"] == name;
        let settings = &all.iter().find(is_meant)?["data"];
        seconds(settings["CARDCTL_SERVER_DRAIN_TIMEOUT"].as_str()?)
    })
}
