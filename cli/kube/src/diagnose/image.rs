//! An image that does not come.

use serde_json::Value;

use super::container::image_of;
use super::recorded::{Event, text};
use super::{Finding, Reason};

/// The node could not get it, or will not.
pub(super) fn refused(at: impl Fn(Reason) -> Finding, status: &Value, events: &[Event<'_>]) -> Finding {
    let waiting = &status["state"]["waiting"];
    let name = text(&status["name"]);
    let about = |event: &&Event<'_>| {
        event.is_about(name) && matches!(event.reason(), "Failed" | "InspectFailed" | "ErrImageNeverPull")
    };
    // `Back-off pulling image` is all that older nodes say while they wait; what went wrong was said before.
    let told = |event: &&Event<'_>| about(event) && !event.message().starts_with("Error: ");
    let event = events.iter().rev().find(told).copied();
    let waited = text(&waiting["message"]);
    let vague = waited.is_empty() || (waited.starts_with("Back-off") && !waited.contains("ErrImagePull: "));
    let said = if vague { event.map_or(waited, Event::message) } else { waited };
    let found = at(reason(text(&waiting["reason"]), said)).named(text(&status["image"])).said(said).shown_by(event);
    // Each try writes its events again: the newest of them tells whether this is of before.
    Finding { seen: events.iter().filter(about).filter_map(|event| event.last()).max().or(found.seen), ..found }
}

fn reason(waiting: &str, said: &str) -> Reason {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match waiting {
        "ErrImageNeverPull" => Reason::ImageNeverPull,
        "InvalidImageName" => Reason::ImageNameInvalid,
        // A registry that hides what it has says the same of what it has not.
        _ if has(&[
            "unauthorized",
            "401 Unauthorized",
            "403 Forbidden",
            "authorization failed",
            "access denied",
            "denied:",
            "insufficient_scope",
            "no basic auth credentials",
        ]) =>
        {
            Reason::ImageUnauthorised
        }
        _ if has(&["not found", "manifest unknown", "NotFound", "repository does not exist"]) && !has(&["lookup "]) => {
            Reason::ImageNotFound
        }
        _ if has(&[
            "no such host",
            "connection refused",
            "no route to host",
            "network is unreachable",
            "i/o timeout",
            "certificate",
            "server gave HTTP response to HTTPS",
        ]) =>
        {
            Reason::ImageRegistryUnreachable
        }
        _ if has(&["invalid reference format"]) => Reason::ImageNameInvalid,
        _ => Reason::ImagePullFailed,
    }
}

/// The node is at it.
pub(super) fn pulling(
    at: impl Fn(Reason) -> Finding,
    pod: &Value,
    status: &Value,
    events: &[Event<'_>],
) -> Option<Finding> {
    let name = text(&status["name"]);
    let newest = events.iter().rev().find(|event| {
        event.is_about(name) && matches!(event.reason(), "Pulling" | "Pulled" | "Failed" | "BackOff" | "Created")
    })?;
    let image = image_of(pod, status);
    (newest.reason() == "Pulling").then(|| {
        at(Reason::ImagePulling).named(image).said(newest.message()).since(newest.last()).shown_by(Some(*newest))
    })
}
