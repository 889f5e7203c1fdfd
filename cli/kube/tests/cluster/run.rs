//! Applies something broken, waits, and looks at what it was called and how long that took.

use std::io::Write;
use std::time::Duration;

use card_kube::diagnose::{Finding, Reason, Recorded};
use card_kube::wait::{Awaited, Verdict, WaitOptions, wait};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::place::Place;

/// From the event to the name.
const GOAL: Duration = Duration::from_secs(10);

pub(crate) async fn must_be_named<const N: usize>(test: &str, reason: Reason, labels: Value, objects: [Value; N]) {
    let Some(place) = Place::new(&short(test), labels).await else { return };
    let mut last = None;
    for object in objects {
        last = Some(place.apply(object).await);
    }
    let awaited = [Awaited::new(last.unwrap())];
    let begun = Instant::now();
    let mut named: Option<(Duration, Timestamp)> = None;
    let options = WaitOptions::new(Duration::from_secs(90));
    let ending = wait(&place.client, &awaited, options, |snapshot| {
        let finding = snapshot.rows[0].finding.as_ref();
        if named.is_none() && finding.is_some_and(|finding| finding.reason == reason) {
            named = Some((begun.elapsed(), Timestamp::now()));
        }
    })
    .await;
    let verdict = (begun.elapsed(), Timestamp::now());
    place.remove().await;
    record(test, reason, &ending.recorded, &ending.verdict);
    let Verdict::Failed { findings } = ending.verdict else {
        panic!("{test}: {:#?}\nlast: {:#?}", ending.verdict, ending.last)
    };
    let first = &findings[0];
    assert_eq!(first.reason, reason, "{first:#?}");
    assert!(
        first.terminal && !first.message.is_empty() && !first.cause.is_empty() && !first.fix.is_empty(),
        "{first:#?}"
    );
    let named = named.unwrap_or(verdict);
    report(test, first, named, verdict);
    let event = first.since.unwrap_or(named.1);
    let after = named.1.duration_since(event);
    assert!(after < GOAL.try_into().unwrap(), "{test}: named {after:#} after its event: {first:#?}");
}

/// `a_secret_without_the_key` → `a-secret-without-the`: a namespace's name has 63 letters.
fn short(test: &str) -> String {
    test.replace('_', "-").chars().take(36).collect::<String>().trim_end_matches('-').to_owned()
}

fn report(test: &str, finding: &Finding, named: (Duration, Timestamp), verdict: (Duration, Timestamp)) {
    let after = |at: Timestamp| finding.since.map_or(0.0, |since| at.duration_since(since).as_secs_f64().max(0.0));
    let line = format!(
        "{test}\t{}\tnamed {:.1} s after the apply, {:.1} s after the event\tverdict {:.1} s, {:.1} s\n",
        finding.reason,
        named.0.as_secs_f64(),
        after(named.1),
        verdict.0.as_secs_f64(),
        after(verdict.1),
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Ok(path) = std::env::var("CARDCTL_TEST_TIMES") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Keeps what was read, without what names this cluster, as a case for the tests of `diagnose`.
fn record(test: &str, reason: Reason, recorded: &Recorded, verdict: &Verdict) {
    let Ok(folder) = std::env::var("CARDCTL_TEST_RECORD") else { return };
    let findings = match verdict {
        Verdict::Failed { findings } | Verdict::TimedOut { findings, .. } => findings.clone(),
        _ => Vec::new(),
    };
    let recorded_nodes: Vec<Value> = recorded.objects.iter().map(|object| (**object).clone()).collect();
    let mut recorded = serde_json::to_value(recorded).unwrap();
    recorded["objects"].as_array_mut().unwrap().retain(|object| object["kind"] != "Node");
    for object in recorded["objects"].as_array_mut().unwrap() {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("managedFields");
        for (path, value) in [
            ("/spec/nodeName", "node"),
            ("/status/hostIP", "192.0.2.1"),
            ("/source/host", "node"),
            ("/status/podIP", "198.51.100.1"),
        ] {
            if let Some(field) = object.pointer_mut(path) {
                *field = json!(value);
            }
        }
        if let Some(status) = object["status"].as_object_mut() {
            status.remove("hostIPs");
            status.remove("podIPs");
        }
        if object["reportingInstance"].is_string() {
            object["reportingInstance"] = json!("");
        }
    }
    let case = json!({"reason": reason, "now": Timestamp::now(), "recorded": recorded, "findings": findings.len()});
    let mut text = serde_json::to_string_pretty(&case).unwrap();
    let namespace =
        recorded["objects"].as_array().and_then(|all| all.iter().find_map(|one| one["metadata"]["namespace"].as_str()));
    if let Some(namespace) = namespace {
        text = text.replace(namespace, "cardctl");
    }
    for (ours, anyones) in replacements() {
        text = text.replace(&ours, anyones);
    }
    for node in recorded_nodes.iter().filter(|object| object["kind"] == "Node") {
        if let Some(name) = node["metadata"]["name"].as_str() {
            text = text.replace(name, "node");
        }
    }
    std::fs::write(format!("{folder}/{test}.json"), text + "\n").unwrap();
}

fn replacements() -> Vec<(String, &'static str)> {
    let mut all = vec![(crate::place::image(), "registry.example/card-test:1")];
    if let Ok(registry) = std::env::var("CARDCTL_TEST_REGISTRY") {
        all.push((registry, "registry.example"));
    }
    all
}
