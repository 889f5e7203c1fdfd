//! What is answered to what.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fault::{Fault, status};
use super::request::{Place, Seen, selected};
use super::store::{missing, partial};
use super::{ApiServer, discovery, portforward, watch};

pub(super) async fn handle(State(server): State<ApiServer>, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 16 << 20).await else { return lost() };
    let seen = Seen::new(&parts.method, &parts.uri, &body);
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let content =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let fault = server.faults().next(&seen.method, &seen.path);
    if !matches!(fault, Some(Fault::Lost)) {
        server.shared.seen.lock().expect("no test panics while it holds this").push(seen.clone());
    }
    if fault.is_none()
        && let Some((pod, port)) = forwarded(&server, &seen)
        && let Some(upgrade) = parts.extensions.remove()
    {
        return portforward::open(&server, &parts.headers, upgrade, pod, port);
    }
    match fault {
        None => answer(&server, &seen, &accept, &content),
        Some(Fault::Answer(code, body)) => document(code, &body),
        Some(Fault::Later(code, seconds)) => {
            let mut answer = document(code, &status(code, "TooManyRequests", "it has too much to do", Value::Null));
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            answer
        }
        Some(Fault::Lost) => lost(),
        Some(Fault::AnswerLost) => {
            answer(&server, &seen, &accept, &content);
            lost()
        }
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(time).await;
            answer(&server, &seen, &accept, &content)
        }
    }
}

/// An answer that breaks off: what a client sees of a connection that is lost.
fn lost() -> Response {
    let broken =
        futures::stream::once(async { Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) });
    Body::from_stream(broken).into_response()
}

fn document(code: u16, body: &Value) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn failure(status: &Value) -> Response {
    document(status["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or(500), status)
}

fn answer(server: &ApiServer, seen: &Seen, accept: &str, content: &str) -> Response {
    let place = {
        let store = server.store();
        if let Some(document_of) = discovery::answer(&seen.path, accept, &store.kinds, store.aggregated) {
            return document(200, &document_of);
        }
        Place::of(&seen.path, &store.kinds)
    };
    let Some(place) = place else {
        return failure(&status(404, "NotFound", "the server could not find the requested resource", Value::Null));
    };
    let result = match (seen.method.as_str(), &place.name) {
        ("GET", None) if seen.parameter("watch").is_some_and(|watch| watch != "false" && watch != "0") => {
            return watch::stream(server, &place, seen, accept);
        }
        ("GET", None) => Ok((200, list(server, &place, seen, accept))),
        ("GET", Some(_)) if place.subresource.as_deref() == Some("log") => return log(server, &place, seen),
        ("GET", Some(name)) => match one(server, &place) {
            Some(object) if accept.contains("PartialObjectMetadata") => Ok((200, partial(&object))),
            Some(object) => Ok((200, object)),
            None => Err(missing(&place.kind.plural, name)),
        },
        ("POST", _) => create(server, &place, seen),
        ("PUT", Some(_)) => replace(server, &place, seen.body.clone().unwrap_or_default(), seen),
        ("PATCH", Some(_)) if content.contains("apply-patch") => apply(server, &place, seen),
        ("PATCH", Some(name)) => match one(server, &place) {
            Some(mut object) => {
                let patch = seen.body.clone().unwrap_or_default();
                let version = &patch["metadata"]["resourceVersion"];
                if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
                    Err(status(409, "Conflict", "the object has been modified", Value::Null))
                } else {
                    merge_patch(&mut object, &patch);
                    replace(server, &place, object, seen)
                }
            }
            None => Err(missing(&place.kind.plural, name)),
        },
        ("DELETE", Some(_)) => {
            let options = seen.body.clone().unwrap_or_default();
            server.change(|store| store.delete(&place, &options)).map(|object| (200, object))
        }
        _ => Err(status(405, "MethodNotAllowed", "the server does not allow this method", Value::Null)),
    };
    match result {
        Ok((code, object)) if place.subresource.as_deref() == Some("scale") => document(code, &scale(&object)),
        Ok((code, object)) => document(code, &object),
        Err(status) => failure(&status),
    }
}

fn one(server: &ApiServer, place: &Place) -> Option<Value> {
    let store = server.store();
    store.objects.iter().find(|(key, _)| key.in_place(place)).map(|(_, object)| object.clone())
}

fn list(server: &ApiServer, place: &Place, seen: &Seen, accept: &str) -> Value {
    let store = server.store();
    let items = store.objects.iter().filter(|(key, object)| key.in_place(place) && selected(object, seen));
    let items = items.map(|(_, object)| object.clone()).collect();
    watch::list(place, items, store.revision, accept.contains("PartialObjectMetadata"))
}

fn log(server: &ApiServer, place: &Place, seen: &Seen) -> Response {
    let Some(pod) = one(server, place) else {
        return failure(&missing("pods", place.name.as_deref().unwrap_or_default()));
    };
    let first = pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default();
    let mut container = seen.parameter("container").unwrap_or(first).to_owned();
    if seen.parameter("previous") == Some("true") {
        container += "/previous";
    }
    let key = (place.namespace.clone().unwrap_or_default(), place.name.clone().unwrap_or_default(), container);
    match server.store().logs.get(&key) {
        Some(lines) => {
            let tail = seen.parameter("tailLines").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
            let lines: Vec<&str> = lines.lines().collect();
            let from = lines.len().saturating_sub(tail);
            lines[from..].iter().map(|line| format!("{line}\n")).collect::<String>().into_response()
        }
        None => failure(&status(400, "BadRequest", &format!("container {:?} is waiting to start", key.2), Value::Null)),
    }
}

/// The pod and its port that a connection is asked to.
fn forwarded(server: &ApiServer, seen: &Seen) -> Option<((String, String), u16)> {
    let port = seen.parameter("ports")?.parse().ok()?;
    let place = Place::of(&seen.path, &server.store().kinds)?;
    (place.subresource.as_deref() == Some("portforward")).then_some(((place.namespace?, place.name?), port))
}

fn manager(seen: &Seen) -> &str {
    seen.parameter("fieldManager").unwrap_or("unknown")
}

fn create(server: &ApiServer, place: &Place, seen: &Seen) -> Result<(u16, Value), Value> {
    let mut object = seen.body.clone().unwrap_or_default();
    object["apiVersion"] = json!(place.kind.api_version());
    object["kind"] = json!(place.kind.kind);
    if let Some(namespace) = &place.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let named = Place {
        kind: place.kind.clone(),
        namespace: place.namespace.clone(),
        name: Some(name.clone()),
        subresource: None,
    };
    server.change(|store| {
        if store.objects.keys().any(|key| key.in_place(&named)) {
            let message = format!("{} {name:?} already exists", place.kind.plural);
            return Err(status(409, "AlreadyExists", &message, Value::Null));
        }
        let key = super::store::Key {
            group: place.kind.group.clone(),
            kind: place.kind.kind.clone(),
            namespace: place.namespace.clone(),
            name: name.clone(),
        };
        store.home(&key)?;
        let invalid = || status(422, "Invalid", "name: Required value", Value::Null);
        store.put(object, manager(seen), "").map(|object| (201, object)).ok_or_else(invalid)
    })
}

fn replace(server: &ApiServer, place: &Place, mut object: Value, seen: &Seen) -> Result<(u16, Value), Value> {
    let before =
        one(server, place).ok_or_else(|| missing(&place.kind.plural, place.name.as_deref().unwrap_or_default()))?;
    let subresource = place.subresource.clone().unwrap_or_default();
    if subresource == "scale" {
        let replicas = object["spec"]["replicas"].clone();
        object = before;
        object["spec"]["replicas"] = replicas;
    }
    let invalid = || status(400, "BadRequest", "no such kind", Value::Null);
    server
        .change(|store| store.put(object, manager(seen), &subresource))
        .map(|object| (200, object))
        .ok_or_else(invalid)
}

fn apply(server: &ApiServer, place: &Place, seen: &Seen) -> Result<(u16, Value), Value> {
    let force = seen.parameter("force") == Some("true");
    let dry_run = seen.parameter("dryRun").is_some();
    let applied = seen.body.clone().ok_or_else(|| status(400, "BadRequest", "the body is not JSON", Value::Null))?;
    let (object, created) = server.change(|store| store.apply(place, &applied, manager(seen), force, dry_run))?;
    Ok((if created { 201 } else { 200 }, object))
}

/// What the subresource shows of an object.
fn scale(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"]},
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {"replicas": object["status"]["replicas"].as_u64().unwrap_or(0)}})
}

/// RFC 7386.
fn merge_patch(object: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            if let Some(map) = object.as_object_mut() {
                map.remove(name);
            }
        } else {
            merge_patch(&mut object[name], value);
        }
    }
}
