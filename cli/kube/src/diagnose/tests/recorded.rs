//! What a real cluster said of broken deployments.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::diagnose::*;

/// What was read of a real cluster when it was given up, and what it was called.
#[derive(Deserialize)]
struct Case {
    reason: Reason,
    now: Timestamp,
    recorded: Recorded,
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnose/recorded");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut cases: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    cases.sort_by(|(one, _): &(String, Case), (other, _)| one.cmp(other));
    cases
}

/// The workload that was waited for.
fn object(recorded: &Recorded) -> ObjectRef {
    let is_workload = |object: &&Value| object["kind"] == "Deployment" || object["kind"] == "Job";
    ObjectRef::of(recorded.objects.iter().map(AsRef::as_ref).find(is_workload).unwrap()).unwrap()
}

#[test]
fn what_was_recorded_of_broken_deployments_is_named_terminal_and_explained() {
    let cases = cases();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for (name, case) in cases {
        let object = object(&case.recorded);
        let worst_at = |now| diagnose(&case.recorded, &object, &Circumstances::at(now)).into_iter().next();
        let first = worst_at(case.now).unwrap_or_else(|| panic!("{name}: nothing found"));
        assert_eq!(first.reason, case.reason, "{name}: {first:#?}");
        // It is named as soon as it is there, and a verdict when it has stayed as long as such a thing may.
        let patience = first.reason.patience().lasts(&Tolerate::default());
        let given_up = first.since.zip(patience).map(|(since, patience)| since.checked_add(patience).unwrap());
        let verdict = worst_at(given_up.max(Some(case.now)).unwrap()).unwrap();
        assert!(verdict.terminal, "{name}: {verdict:#?}");
        if let Some(given_up) = given_up.filter(|_| !patience.unwrap().is_zero()) {
            let before = worst_at(given_up.checked_sub(SignedDuration::from_millis(1)).unwrap()).unwrap();
            assert!(!before.terminal, "{name}: {before:#?}");
        }
        for text in [&first.message, &first.cause, &first.fix] {
            assert!(
                !text.is_empty() && !text.contains('\n') && !text.contains(['{', '}']) || text.contains("jsonpath"),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn a_crash_or_a_refusing_probe_is_no_verdict_while_something_needed_is_not_ready() {
    let blips = [Reason::CrashLoop, Reason::MigrationPassword, Reason::MigrationUnreachable, Reason::PortRefused];
    let mut seen = 0;
    for (name, case) in cases().into_iter().filter(|(_, case)| blips.contains(&case.reason)) {
        let object = object(&case.recorded);
        let postgres = ObjectRef { name: "postgres".to_owned(), ..object.clone() };
        let circumstances = Circumstances { waits_for: vec![postgres.clone()], ..Circumstances::at(case.now) };
        let findings = diagnose(&case.recorded, &object, &circumstances);
        assert!(
            findings.iter().all(|finding| !finding.terminal && finding.waits_for == [postgres.clone()]),
            "{name}: {findings:#?}"
        );
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn a_missing_image_is_a_verdict_whatever_else_is_not_ready() {
    let cases = cases();
    let (_, case) = cases.iter().find(|(_, case)| case.reason == Reason::ImageNotFound).unwrap();
    let object = object(&case.recorded);
    let circumstances = Circumstances { waits_for: vec![object.clone()], ..Circumstances::at(case.now) };
    assert!(diagnose(&case.recorded, &object, &circumstances)[0].terminal);
}

#[test]
fn what_was_seen_before_the_change_is_believed_only_when_it_stays() {
    for reason in [Reason::CrashLoop, Reason::ImageNotFound, Reason::UnschedulableSelector] {
        let cases = cases();
        let (_, case) = cases.iter().find(|(_, case)| case.reason == reason).unwrap();
        let object = object(&case.recorded);
        let began = case.now.checked_add(SignedDuration::from_mins(1)).unwrap();
        let mut crashes_before = std::collections::BTreeMap::new();
        for pod in case.recorded.of_kind("Pod") {
            crashes_before.insert(format!("{}/main", pod["metadata"]["uid"].as_str().unwrap()), 100);
        }
        let at = |seconds| {
            let now = began.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            let circumstances =
                Circumstances { began: Some(began), crashes_before: crashes_before.clone(), ..Circumstances::at(now) };
            diagnose(&case.recorded, &object, &circumstances)[0].terminal
        };
        assert!(!at(1) && at(31), "{reason}: {} {}", at(1), at(31));
    }
}

#[test]
fn pods_of_an_older_version_are_no_evidence() {
    let cases = cases();
    let (_, case) = cases.into_iter().find(|(name, _)| name == "a_program_that_ends_with_an_error").unwrap();
    let object = object(&case.recorded);
    let mut recorded = case.recorded.clone();
    let deployment = recorded.get(&object).unwrap().clone();
    // The controller has made the replica set of a newer version; its pod is not there yet.
    recorded.objects.push(std::sync::Arc::new(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {
            "name": "web-new", "namespace": "cardctl", "uid": "new", "annotations": {"deployment.kubernetes.io/revision": "2"},
            "ownerReferences": [{"uid": deployment["metadata"]["uid"]}]}, "spec": {"replicas": 1}, "status": {"replicas": 1}})));
    assert_eq!(diagnose(&recorded, &object, &Circumstances::at(case.now)), []);

    // And before the controller has even seen the newest version, there is none of it.
    let mut unseen = deployment;
    unseen["metadata"]["generation"] = json!(99);
    let objects = case.recorded.objects.iter().filter(|object| object["kind"] != "Deployment").cloned();
    let recorded = Recorded { objects: objects.chain([std::sync::Arc::new(unseen)]).collect(), logs: Vec::new() };
    assert_eq!(diagnose(&recorded, &object, &Circumstances::at(case.now)), []);
}

/// The cause was mended, and the node has not tried again since.
#[test]
fn what_is_only_in_back_off_is_no_verdict_until_it_was_tried_again() {
    for (reason, waiting) in [(Reason::CrashLoop, "CrashLoopBackOff"), (Reason::ImageNotFound, "ImagePullBackOff")] {
        let cases = cases();
        let (_, case) = cases.iter().find(|(_, case)| case.reason == reason).unwrap();
        let object = object(&case.recorded);
        let began = case.now.checked_add(SignedDuration::from_mins(1)).unwrap();
        let mut text = serde_json::to_value(&case.recorded).unwrap();
        back_off(&mut text, waiting);
        let recorded: crate::diagnose::Recorded = serde_json::from_value(text).unwrap();
        let mut crashes_before = std::collections::BTreeMap::new();
        for pod in recorded.of_kind("Pod") {
            crashes_before.insert(format!("{}/main", pod["metadata"]["uid"].as_str().unwrap()), 100);
        }
        let at = |minutes, crashes_before| {
            let now = began.checked_add(SignedDuration::from_mins(minutes)).unwrap();
            let circumstances = Circumstances { began: Some(began), crashes_before, ..Circumstances::at(now) };
            diagnose(&recorded, &object, &circumstances)[0].terminal
        };
        assert!(!at(1, crashes_before.clone()) && !at(10, crashes_before), "{reason}");
    }
}

/// The back-off is over and it runs, as the real API tells it: it gets as long as any other, and while its startup probe has
/// not succeeded, as long as that takes.
#[test]
fn an_old_crash_says_nothing_of_what_was_started_since() {
    let cases = cases();
    let (_, case) = cases.iter().find(|(_, case)| case.reason == Reason::CrashLoop).unwrap();
    let object = object(&case.recorded);
    let began = case.now.checked_add(SignedDuration::from_mins(1)).unwrap();
    let started = began.checked_add(SignedDuration::from_mins(2)).unwrap();
    let at = |seconds, has_started: bool| {
        let mut recorded = case.recorded.clone();
        let mut crashes_before = std::collections::BTreeMap::new();
        for pod in recorded.objects.iter_mut().filter(|object| object["kind"] == "Pod") {
            let pod = std::sync::Arc::make_mut(pod);
            crashes_before.insert(format!("{}/main", pod["metadata"]["uid"].as_str().unwrap()), 100);
            for status in pod["status"]["containerStatuses"].as_array_mut().unwrap() {
                let ended = [&status["state"], &status["lastState"]].into_iter().find(|of| !of["terminated"].is_null());
                let ended = ended.cloned().unwrap();
                status["lastState"] = ended;
                status["state"] = json!({"running": {"startedAt": started.to_string()}});
                status["started"] = json!(has_started);
                status["ready"] = json!(false);
            }
        }
        let now = started.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        let circumstances = Circumstances { began: Some(began), crashes_before, ..Circumstances::at(now) };
        diagnose(&recorded, &object, &circumstances).iter().any(|finding| finding.terminal)
    };
    assert!(!at(0, true) && !at(29, true) && at(31, true));
    assert!(!at(0, false) && !at(600, false));
}

/// Every container that does not run waits so.
fn back_off(value: &mut serde_json::Value, reason: &str) {
    match value {
        serde_json::Value::Object(fields) => {
            if let Some(state) = fields.get_mut("state").filter(|state| state["running"].is_null()) {
                let message = state["waiting"]["message"].clone();
                *state = serde_json::json!({"waiting": {"reason": reason, "message": message}});
            }
            fields.values_mut().for_each(|value| back_off(value, reason));
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| back_off(value, reason)),
        _ => {}
    }
}
