//! What a request asks for.

use axum::http::{Method, Uri};
use serde_json::Value;

use super::kinds::Kind;

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Such as `PATCH`.
    pub method: String,
    /// Such as `/api/v1/namespaces/cardctl/configmaps/cardctl`.
    pub path: String,
    /// What stands behind the `?`, decoded.
    pub query: Vec<(String, String)>,
    /// Its body, if it is one of JSON.
    pub body: Option<Value>,
}

impl Seen {
    pub(super) fn new(method: &Method, uri: &Uri, body: &[u8]) -> Self {
        let query = uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let query = query.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        });
        Self {
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: query.collect(),
            body: serde_json::from_slice(body).ok(),
        }
    }

    /// Of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it changes something, as far as its method says; a dry run does not.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != "GET" && self.parameter("dryRun").is_none()
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Which objects a path names.
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Place {
    /// None: no such path is served.
    pub(super) fn of(path: &str, kinds: &[Kind]) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let find = |plural: &str| {
            kinds.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural).cloned()
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if find(plural).is_some() => (Some(*namespace), *plural, rest),
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return None,
        };
        Some(Self {
            kind: find(plural)?,
            namespace: namespace.map(ToOwned::to_owned),
            name: rest.first().map(|name| decoded(name)),
            subresource: rest.get(1).map(|&name| name.to_owned()),
        })
    }
}

/// Whether an object is meant by the selectors of a list or a watch.
pub(super) fn selected(object: &Value, seen: &Seen) -> bool {
    let holds = |selector: Option<&str>, value: &dyn Fn(&str) -> Option<String>| {
        selector.unwrap_or_default().split(',').filter(|term| !term.is_empty()).all(|term| {
            if let Some((name, wanted)) = term.split_once("!=") {
                return value(name).as_deref() != Some(wanted);
            }
            match term.split_once('=') {
                Some((name, wanted)) => value(name).as_deref() == Some(wanted.trim_start_matches('=')),
                None => match term.strip_prefix('!') {
                    Some(name) => value(name).is_none(),
                    None => value(term).is_some(),
                },
            }
        })
    };
    let label = |name: &str| object["metadata"]["labels"][name].as_str().map(ToOwned::to_owned);
    let field = |path: &str| {
        let value = path.split('.').fold(object, |value, part| &value[part]);
        value.as_str().map(ToOwned::to_owned)
    };
    holds(seen.parameter("labelSelector"), &label) && holds(seen.parameter("fieldSelector"), &field)
}
