//! What this platform asks of manifests beyond what a cluster lets in.

mod pods;
mod scaling;
mod secrets;

use serde_json::Value;

use super::{Finding, Level, finding};
use crate::kinds::{pod_template, text};

pub(super) fn check(object: &Value, all: &[Value]) -> Vec<Finding> {
    let mut findings = secrets::check(object);
    findings.extend(scaling::check(object, all));
    findings.extend(ingress(object));
    let kind = text(object, "kind");
    let pod =
        pod_template(kind).map(|path| format!("{path}/spec")).or_else(|| (kind == "Pod").then(|| "/spec".to_owned()));
    if let Some(path) = pod {
        findings.extend(pods::check(object, &path, all));
    }
    findings
}

/// What is for the operators alone is not for the public.
fn ingress(object: &Value) -> Vec<Finding> {
    if text(object, "kind") != "Ingress" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (rule, host) in object["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (index, entry) in host["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let (path, is_exact) = (text(entry, "path"), text(entry, "pathType") == "Exact");
            let trimmed = path.trim_end_matches('/');
            let shows =
                |private: &str| trimmed == private || !is_exact && (trimmed.is_empty() || path.starts_with(private));
            if shows("/metrics") || shows("/scaling") {
                let message = format!("{path:?} exposes /metrics or /scaling; list the public paths");
                let at = format!("spec.rules[{rule}].http.paths[{index}].path");
                findings.push(finding(object, "private-path", Level::Error, at, message));
            }
        }
    }
    findings
}
