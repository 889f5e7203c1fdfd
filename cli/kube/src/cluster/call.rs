//! One request, one answer, a deadline.

use crate::owner::Owner;
use std::fmt::Write;

use http::{Method, Request, StatusCode, header};
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;

use super::connection::Once;
use super::{ClusterError, Kind, Link, error};

/// A request for objects of one kind.
#[derive(Clone)]
pub(crate) struct Call {
    pub(super) method: Method,
    /// As RBAC has it.
    pub(super) verb: &'static str,
    /// As RBAC has it: `deployments.apps`.
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
    path: String,
    query: String,
    content: &'static str,
    accept: &'static str,
    body: Vec<u8>,
    /// Not sent again when the server has too much to do.
    once: bool,
}

/// What the API answered; it is a success.
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) body: Value,
}

const JSON: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

impl Call {
    fn new(method: Method, verb: &'static str, kind: &Kind, namespace: Option<&str>, name: Option<&str>) -> Self {
        let namespace = namespace.filter(|_| kind.namespaced).map(ToOwned::to_owned);
        let mut path = match kind.group.as_str() {
            "" => format!("/api/{}", kind.version),
            group => format!("/apis/{group}/{}", kind.version),
        };
        if let Some(namespace) = &namespace {
            path += &format!("/namespaces/{}", escaped(namespace));
        }
        path += &format!("/{}", kind.plural);
        if let Some(name) = name {
            path += &format!("/{}", escaped(name));
        }
        let resource = kind.resource();
        Self {
            method,
            verb,
            resource,
            namespace,
            path,
            query: String::new(),
            content: JSON,
            accept: JSON,
            body: Vec::new(),
            once: false,
        }
    }

    /// For what can be done without.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Of a path that is no object's.
    pub(crate) fn path(path: &str, accept: &'static str) -> Self {
        let mut call = Self::new(Method::GET, "get", &Kind::namespaces(), None, None);
        call.path = path.to_owned();
        call.resource = path.to_owned();
        call.accept = accept;
        call
    }

    pub(crate) fn get(kind: &Kind, namespace: Option<&str>, name: &str) -> Self {
        Self::new(Method::GET, "get", kind, namespace, Some(name))
    }

    /// Of a namespace, or of all.
    pub(crate) fn list(kind: &Kind, namespace: Option<&str>) -> Self {
        Self::new(Method::GET, "list", kind, namespace, None)
    }

    pub(crate) fn create(kind: &Kind, namespace: Option<&str>, object: &Value, owner: &Owner) -> Self {
        Self { body: object.to_string().into_bytes(), ..Self::new(Method::POST, "create", kind, namespace, None) }
            .query("fieldManager", owner.manager())
    }

    /// By server-side apply.
    pub(crate) fn apply(kind: &Kind, namespace: Option<&str>, name: &str, object: &Value, manager: &str) -> Self {
        Self {
            body: object.to_string().into_bytes(),
            content: "application/apply-patch+yaml",
            ..Self::new(Method::PATCH, "patch", kind, namespace, Some(name))
        }
        .query("fieldManager", manager)
    }

    /// By a merge patch: only what exists.
    pub(crate) fn merge(kind: &Kind, namespace: Option<&str>, name: &str, patch: &Value, owner: &Owner) -> Self {
        Self {
            body: patch.to_string().into_bytes(),
            content: "application/merge-patch+json",
            ..Self::new(Method::PATCH, "patch", kind, namespace, Some(name))
        }
        .query("fieldManager", owner.manager())
    }

    /// Only the object with that UID.
    pub(crate) fn delete(kind: &Kind, namespace: Option<&str>, name: &str, uid: &str, propagation: &str) -> Self {
        let options = serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation,
            "preconditions": {"uid": uid}});
        Self {
            body: options.to_string().into_bytes(),
            ..Self::new(Method::DELETE, "delete", kind, namespace, Some(name))
        }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        let joint = if self.query.is_empty() { '?' } else { '&' };
        self.query += &format!("{joint}{name}={}", escaped(value));
        self
    }

    /// Answered with the metadata alone.
    pub(crate) fn only_metadata(mut self) -> Self {
        self.accept = if self.verb == "list" { METADATA_LIST } else { METADATA };
        self
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing into a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

impl Link {
    pub(super) async fn send(&self, call: Call) -> Result<Answer, ClusterError> {
        let uri = format!("{}{}", call.path, call.query);
        if let Some(connection) = &self.connection {
            // Before the clock starts: a plugin may have to ask somebody.
            connection.log_in().await.map_err(|error| error::of_login(error, &self.server))?;
        }
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(uri)
            .header(header::ACCEPT, call.accept)
            .header(header::CONTENT_TYPE, call.content)
            .body(Body::from(call.body.clone()))
            .map_err(|error| ClusterError::Nonsense { server: self.server.clone(), reason: error.to_string() })?;
        if call.once {
            request.extensions_mut().insert(Once);
        }
        let exchange = async {
            let response = self.client.send(request).await?;
            let code = response.status();
            Ok::<_, kube::Error>((code, response.into_body().collect_bytes().await?))
        };
        let (code, bytes) = match tokio::time::timeout(self.timeout, exchange).await {
            Err(_) => return Err(ClusterError::Timeout { server: self.server.clone(), after: self.timeout }),
            Ok(Err(error)) => return Err(self.failed(&error)),
            Ok(Ok(answer)) => answer,
        };
        if !code.is_success() {
            let status = serde_json::from_slice::<Status>(&bytes).unwrap_or_else(|_| {
                // Not the API itself: a proxy, or a load balancer.
                let text: String = String::from_utf8_lossy(&bytes).chars().take(300).collect();
                Status::failure(text.trim(), "")
            });
            return Err(error::of_status(code.as_u16(), status, &call, &self.server));
        }
        let nonsense = |error: serde_json::Error| ClusterError::Nonsense {
            server: self.server.clone(),
            reason: super::reason(&error),
        };
        Ok(Answer { code, body: serde_json::from_slice(&bytes).map_err(nonsense)? })
    }
}

impl Link {
    fn failed(&self, error: &kube::Error) -> ClusterError {
        let proxy = self.snapshot.as_ref().and_then(|snapshot| snapshot.proxy.as_ref());
        error::of_client(error, &self.server, proxy)
    }
}

impl super::Cluster {
    /// All of a list, page by page.
    pub(crate) async fn list(&self, call: Call) -> Result<Vec<Value>, ClusterError> {
        let call = call.query("limit", "500");
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = match &next {
                Some(token) => call.clone().query("continue", token),
                None => call.clone(),
            };
            let mut answer = self.read(page).await?;
            if let Value::Array(page) = answer.body["items"].take() {
                items.extend(page);
            }
            next =
                answer.body["metadata"]["continue"].as_str().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if next.is_none() {
                return Ok(items);
            }
        }
    }
}
