//! Streams of changes.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::ApiServer;
use super::request::{Place, Seen, selected};
use super::store::{Change, partial};

/// What happened to the place since a resource version, and what happens there from now on.
pub(super) fn stream(server: &ApiServer, place: &Place, seen: &Seen, accept: &str) -> Response {
    let only_metadata = accept.contains("PartialObjectMetadata");
    let since: u64 = seen.parameter("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
    // Subscribed and read under one lock: nothing is missed and nothing comes twice.
    let (receiver, past) = {
        let store = server.store();
        let receiver = server.shared.changes.subscribe();
        let past: Vec<Change> = if since == 0 {
            let now = store.objects.iter().filter(|(key, _)| key.in_place(place));
            now.map(|(key, object)| Change { key: key.clone(), kind: "ADDED", object: object.clone() }).collect()
        } else {
            store.history.iter().filter(|change| change.revision() > since).cloned().collect()
        };
        (receiver, past)
    };
    let matches = {
        let (kind, namespace, name) = (place.kind.clone(), place.namespace.clone(), place.name.clone());
        let seen = seen.clone();
        move |change: &Change| {
            let place =
                Place { kind: kind.clone(), namespace: namespace.clone(), name: name.clone(), subresource: None };
            change.key.in_place(&place) && selected(&change.object, &seen)
        }
    };
    let line = move |change: &Change| -> Result<Bytes, std::io::Error> {
        let object = if only_metadata { partial(&change.object) } else { change.object.clone() };
        Ok(Bytes::from(format!("{}\n", json!({"type": change.kind, "object": object}))))
    };
    let live = stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(change) => Some((change, receiver)),
            // As the real one: who is too slow is cut off and lists again.
            Err(RecvError::Lagged(_) | RecvError::Closed) => None,
        }
    });
    let changes = stream::iter(past).chain(live).filter(move |change| std::future::ready(matches(change)));
    let seconds = seen.parameter("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(290);
    let end = tokio::time::sleep(Duration::from_secs(seconds));
    let body = Body::from_stream(changes.map(move |change| line(&change)).take_until(end));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The list that a watch goes on from.
pub(super) fn list(place: &Place, items: Vec<Value>, revision: u64, only_metadata: bool) -> Value {
    let (api_version, kind, items) = if only_metadata {
        let items = items.iter().map(partial).collect();
        ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned(), items)
    } else {
        (place.kind.api_version(), format!("{}List", place.kind.kind), items)
    };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"resourceVersion": revision.to_string()}, "items": items})
}
