//! Why the API refused an object, and the way out.

use std::fmt;

use kube::core::Status;
use serde_json::{Value, json};

use crate::cluster::ClusterError;
use crate::{ObjectRef, fields};

/// An object that was not applied.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{object}: {why}")]
pub struct Refused {
    pub object: ObjectRef,
    pub why: Refusal,
}

/// Why an object was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    #[error("{} of its fields are owned by other managers: {}", conflicts.len(), listed(conflicts))]
    Conflicts { conflicts: Vec<Conflict> },
    #[error("the cluster knows no field {field}")]
    UnknownField { field: String, message: String },
    #[error("{} can't be changed once it exists", fields.join(", "))]
    Immutable { fields: Vec<String>, message: String },
    #[error("it is not valid: {message}")]
    Invalid { fields: Vec<String>, message: String },
    #[error("a webhook refused it: {message}")]
    Webhook { message: String },
    #[error("a quota is used up: {message}")]
    Quota { message: String },
    #[error("the pod security of the namespace forbids it: {message}")]
    PodSecurity { message: String },
    #[error("its namespace {namespace} is being deleted")]
    NamespaceEnds { namespace: String },
    #[error("its namespace {namespace} does not exist")]
    NoNamespace { namespace: String },
    #[error("the cluster has no kind {kind} in {api_version}")]
    NoSuchKind { api_version: String, kind: String },
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A field that another manager owns, with another value than ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// As the API writes it: `.spec.replicas`.
    pub field: String,
    /// Who owns it, such as `kube-controller-manager` or `kubectl-client-side-apply`.
    pub manager: String,
    /// By which subresource, such as `scale`.
    pub subresource: Option<String>,
    /// What we want; a secret's is not shown.
    pub ours: Option<Value>,
    /// What is there; a secret's is not shown.
    pub live: Option<Value>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let subresource = self.subresource.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        write!(
            f,
            "{} is {} by {}{subresource}, wanted is {}",
            self.field,
            shown(&self.live),
            self.manager,
            shown(&self.ours)
        )
    }
}

fn listed(conflicts: &[Conflict]) -> String {
    conflicts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Refused {
    /// What helps.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        let Self { object, why } = self;
        let namespace = object.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
        Some(match why {
            Refusal::Conflicts { conflicts } => {
                let fields: Vec<&str> = conflicts.iter().map(|conflict| conflict.field.as_str()).collect();
                format!(
                    "keep theirs: leave {} out of the manifest; or take ownership: --force-conflicts",
                    fields.join(", ")
                )
            }
            Refusal::UnknownField { field, .. } => {
                format!("correct {field} in the manifest of {object}, or use a cluster that knows it")
            }
            Refusal::Immutable { .. } if object.kind == "StatefulSet" => format!(
                "recreate it, keeping its pods and volumes: `kubectl delete {object}{namespace} --cascade=orphan`, then run it again"
            ),
            Refusal::Immutable { .. } if object.kind == "PersistentVolumeClaim" => {
                "leave the claim unchanged, or create another one and move the data".to_owned()
            }
            Refusal::Immutable { .. } => {
                format!("recreate it: `kubectl delete {object}{namespace}`, then run it again")
            }
            Refusal::Quota { .. } => {
                format!("see `kubectl describe quota{namespace}`; raise the quota, or request less")
            }
            Refusal::PodSecurity { .. } => "change the pods to comply, or relax the namespace's label".to_owned(),
            Refusal::NamespaceEnds { namespace } => {
                format!(
                    "wait until it is deleted: `kubectl wait --for=delete namespace/{namespace}`, then run it again"
                )
            }
            Refusal::NoNamespace { namespace } => format!("`kubectl create namespace {namespace}`"),
            Refusal::NoSuchKind { .. } => super::missing_kind(object),
            Refusal::Cluster(error) => return error.fix(),
            Refusal::Invalid { .. } | Refusal::Webhook { .. } => return None,
        })
    }
}

impl Refusal {
    /// Of an error of the API for that manifest; `live` is only needed for conflicts.
    pub(crate) fn of(error: ClusterError, object: &ObjectRef, manifest: &Value, live: Option<&Value>) -> Self {
        let ClusterError::Refused { code, status, .. } = &error else { return Self::Cluster(error) };
        let message = if object.kind == "Secret" { without_values(status) } else { status.message.clone() };
        let namespace = object.namespace.clone().unwrap_or_default();
        let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
        let conflicts: Vec<Conflict> = causes
            .iter()
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .map(|cause| conflict(&cause.field, &cause.message, object, manifest, live))
            .collect();
        if !conflicts.is_empty() {
            return Self::Conflicts { conflicts };
        }
        // The API has no code of its own for these; the words are those of its source, and the text is kept in any case.
        if let Some(field) = undeclared(&message) {
            return Self::UnknownField { field, message };
        }
        if causes.iter().any(|cause| cause.reason == "NamespaceTerminating") {
            return Self::NamespaceEnds { namespace };
        }
        if message.contains("admission webhook") || message.contains("failed calling webhook") {
            return Self::Webhook { message };
        }
        match *code {
            403 if message.contains("exceeded quota") => Self::Quota { message },
            403 if message.contains("violates PodSecurity") => Self::PodSecurity { message },
            403 if message.contains("being terminated") => Self::NamespaceEnds { namespace },
            404 if is_namespace(status) => Self::NoNamespace { namespace },
            404 => Self::NoSuchKind { api_version: object.api_version(), kind: object.kind.clone() },
            400 | 422 => {
                let immutable = |text: &str| {
                    text.contains("immutable") || text.contains("are forbidden") || text.contains("may not change")
                };
                let fixed: Vec<String> =
                    causes.iter().filter(|cause| immutable(&cause.message)).map(|cause| cause.field.clone()).collect();
                if fixed.is_empty() {
                    Self::Invalid { fields: causes.iter().map(|cause| cause.field.clone()).collect(), message }
                } else {
                    Self::Immutable { fields: fixed, message }
                }
            }
            _ => Self::Cluster(error),
        }
    }
}

fn is_namespace(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}

/// What the API says of a secret can repeat what is in it.
fn without_values(status: &Status) -> String {
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    let fields: Vec<String> = causes.iter().map(|cause| format!("{} ({})", cause.field, cause.reason)).collect();
    format!("{} {}", status.reason, fields.join(", ")).trim().to_owned()
}

/// `…: .spec.replica: field not declared in schema`.
fn undeclared(message: &str) -> Option<String> {
    let before =
        message.split(": field not declared in schema").next().filter(|before| before.len() < message.len())?;
    let field = before.rsplit(": ").next().unwrap_or(before).trim_start_matches("errors:").trim();
    Some(field.to_owned())
}

fn conflict(field: &str, message: &str, object: &ObjectRef, manifest: &Value, live: Option<&Value>) -> Conflict {
    let (manager, subresource) = manager(message);
    let value = |of: &Value| {
        let value = fields::find(of, field)?;
        Some(if object.kind == "Secret" && !field.starts_with(".metadata.") {
            json!("(hidden)")
        } else {
            value.clone()
        })
    };
    Conflict { field: field.to_owned(), manager, subresource, ours: value(manifest), live: live.and_then(value) }
}

/// `conflict with "kube-controller-manager" with subresource "scale" using apps/v1`.
fn manager(message: &str) -> (String, Option<String>) {
    let quoted = |text: &str| {
        let start = text.find('"')?;
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<String>();
        values.next()?.ok()
    };
    let subresource = message.split_once(" with subresource ").and_then(|(_, rest)| quoted(rest));
    (quoted(message).unwrap_or_else(|| message.to_owned()), subresource)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_manager_of_a_conflict_is_read_with_its_subresource() {
        let of = |message| manager(message);
        let scale = of(r#"conflict with "kube-controller-manager" with subresource "scale" using apps/v1"#);
        assert_eq!(scale, ("kube-controller-manager".to_owned(), Some("scale".to_owned())));
        assert_eq!(of(r#"conflict with "a \"b\"" using v1 at 2026-01-01T00:00:00Z"#), (r#"a "b""#.to_owned(), None));
        assert_eq!(of("something else"), ("something else".to_owned(), None));
    }

    #[test]
    fn an_undeclared_field_is_named() {
        let message = "failed to create typed patch object (n/server; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema";
        assert_eq!(undeclared(message).as_deref(), Some(".spec.replica"));
        let several = "failed to create typed patch object (n/s; apps/v1, Kind=Deployment): errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema";
        assert_eq!(undeclared(several).as_deref(), Some(".spec.a"));
        assert_eq!(undeclared("anything"), None);
    }

    proptest! {
        #[test]
        fn any_message_is_read(message in any::<String>()) {
            let _ = (manager(&message), undeclared(&message), undeclared(&format!("{message}: field not declared in schema")));
        }
    }
}
