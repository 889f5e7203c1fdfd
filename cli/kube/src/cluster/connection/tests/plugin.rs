//! Exec plugins, real processes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::plugin::Plugin;
use super::Place;
use super::servers::Secure;
use crate::apply::tests::{config, run};
use crate::cluster::ClusterError;
use crate::cluster::kubeconfig::Snapshot;

const V1: &str = "client.authentication.k8s.io/v1";

/// A user whose plugin is this script, with what else its `exec` says.
fn place(server: &Secure, script: &str, more: &str) -> Place {
    let place = Place::of(server, "", "{}");
    let command = place.script("plugin", script);
    let more = if more.contains("apiVersion") {
        more.to_owned()
    } else {
        format!("apiVersion: {V1}, interactiveMode: Never{more}")
    };
    let user = format!("{{exec: {{command: '{command}', {more}}}}}");
    let cluster = format!("{{server: '{}', certificate-authority-data: {}}}", server.url, server.authority);
    place.write(&cluster, &user);
    place
}

fn answer(status: &Value) -> String {
    format!("printf '%s' '{}'", json!({"apiVersion": V1, "kind": "ExecCredential", "status": status}))
}

/// It counts how often it runs.
fn counted(script: &str) -> String {
    format!("echo x >> \"$(dirname \"$0\")/runs\"\n{script}")
}

fn runs(place: &Place) -> usize {
    std::fs::read_to_string(place.path().join("runs")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_plugin_is_run_once_and_its_token_is_shown_each_time() {
    let server = Secure::start().await;
    let later = (jiff::Timestamp::now() + Duration::from_secs(3600)).to_string();
    for status in [json!({"token": "t1"}), json!({"token": "t1", "expirationTimestamp": later})] {
        let place = place(&server, &counted(&answer(&status)), "");
        let cluster = place.connect().await.unwrap();
        run(&cluster, &[config("a", "1"), config("b", "1")]).await.unwrap();
        cluster.in_namespace("other").await.unwrap();
        assert_eq!(runs(&place), 1);
    }
    let had = server.had();
    assert!(had.len() > 10 && had.iter().all(|had| had.all("authorization") == ["Bearer t1"]), "{had:?}");
}

#[tokio::test]
async fn a_plugin_whose_credential_is_over_when_it_comes_is_not_run_for_each_request() {
    let server = Secure::start().await;
    let status = json!({"token": "t1", "expirationTimestamp": "2020-01-01T00:00:00Z"});
    let place = place(&server, &counted(&answer(&status)), "");
    let cluster = place.connect().await.unwrap();
    run(&cluster, &[config("a", "1"), config("b", "1"), config("c", "1")]).await.unwrap();
    assert_eq!(runs(&place), 1);
}

#[tokio::test]
async fn a_plugin_may_answer_a_certificate() {
    let server = Secure::start().await;
    let (certificate, key) = server.client();
    let status = json!({"clientCertificateData": certificate, "clientKeyData": key});
    let place = place(&server, &counted(&answer(&status)), "");
    run(&place.connect().await.unwrap(), &[config("a", "1")]).await.unwrap();
    assert_eq!(runs(&place), 1);
    let had = server.had();
    assert!(had.iter().all(|had| had.certificate.is_some() && had.all("authorization").is_empty()), "{had:?}");
}

#[tokio::test]
async fn a_plugin_is_told_what_kubectl_tells_it() {
    let server = Secure::start().await;
    let script = format!(
        "printf '%s' \"$KUBERNETES_EXEC_INFO\" > \"$(dirname \"$0\")/info\"\n\
         printf '%s|%s|%s' \"$1\" \"$2\" \"$OF_THE_CONFIG\" > \"$(dirname \"$0\")/args\"\n{}",
        answer(&json!({"token": "t"}))
    );
    let more = ", args: ['a b', c], env: [{name: OF_THE_CONFIG, value: here}], provideClusterInfo: true";
    let place = place(&server, &script, more);
    place.connect().await.unwrap();
    assert_eq!(std::fs::read_to_string(place.path().join("args")).unwrap(), "a b|c|here");
    let info: Value = serde_json::from_slice(&std::fs::read(place.path().join("info")).unwrap()).unwrap();
    let cluster = json!({"server": server.url, "certificate-authority-data": server.authority, "config": null});
    let wanted =
        json!({"kind": "ExecCredential", "apiVersion": V1, "spec": {"interactive": false, "cluster": cluster}});
    assert_eq!(info, wanted);
}

#[tokio::test]
async fn a_command_that_is_a_path_counts_from_the_kubeconfig() {
    let server = Secure::start().await;
    let place =
        Place::of(&server, "", &format!("{{exec: {{command: ./plugin, apiVersion: {V1}, interactiveMode: Never}}}}"));
    place.script("plugin", &answer(&json!({"token": "near"})));
    place.connect().await.unwrap();
    assert_eq!(server.had()[0].all("authorization"), ["Bearer near"]);
}

#[tokio::test]
async fn a_plugin_that_is_not_there_is_told_with_its_hint() {
    let server = Secure::start().await;
    let hint = ", installHint: 'brew install cloud-cli'";
    let place = Place::of(
        &server,
        "",
        &format!("{{exec: {{command: of-a-test-not-there, apiVersion: {V1}, interactiveMode: Never{hint}}}}}"),
    );
    let error = place.error().await;
    assert!(error.to_string().contains("the exec plugin of-a-test-not-there does not exist"), "{error}");
    assert_eq!(error.fix().as_deref(), Some("brew install cloud-cli"));
}

#[tokio::test]
async fn a_plugin_that_fails_is_told_without_what_it_was_given_and_said() {
    let server = Secure::start().await;
    let more = ", args: ['--client-secret', hunter2], env: [{name: AWS_SECRET_ACCESS_KEY, value: hunter2}]";
    for script in [
        "echo hunter2; echo hunter2 >&2; exit 3",
        "echo hunter2",
        "echo '{\"kind\": \"ExecCredential\", \"status\": {\"token\": \"hunter2\"}}'",
    ] {
        let error = place(&server, script, more).error().await;
        assert!(matches!(error, ClusterError::Login { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {:?}", error.fix()).contains("hunter2"), "{error:?}");
    }
    let error = place(&server, "exit 3", more).error().await;
    assert!(error.to_string().ends_with("the exec plugin plugin ended with the exit code 3"), "{error}");
    assert!(server.had().is_empty());
}

#[tokio::test]
async fn what_kubectl_refuses_of_a_plugin_is_refused() {
    let server = Secure::start().await;
    let good = answer(&json!({"token": "t"}));
    for (more, reason) in [
        ("apiVersion: client.authentication.k8s.io/v1alpha1, interactiveMode: Never", "apiVersion"),
        (&format!("apiVersion: {V1}"), "interactiveMode"),
        (&format!("apiVersion: {V1}, interactiveMode: Sometimes"), "interactiveMode"),
        (&format!("apiVersion: {V1}, interactiveMode: Never, env: [{{value: x}}]"), "env without a name"),
    ] {
        let error = place(&server, &good, more).error().await;
        assert!(matches!(&error, ClusterError::Unusable { .. }) && error.to_string().contains(reason), "{error}");
    }
    for (status, reason) in [
        (json!({}), "neither a token nor a certificate"),
        (json!({"clientCertificateData": "x"}), "without its key"),
        (json!({"token": "a\nb"}), "that no request can have"),
        (json!({"token": "t", "expirationTimestamp": "soon"}), "that is not a time"),
        (json!({"token": 1}), "that is not text"),
    ] {
        let error = place(&server, &answer(&status), "").error().await;
        assert!(error.to_string().contains(reason), "{error}");
    }
    // The older version needs no mode, and its answers may be YAML.
    let beta = "client.authentication.k8s.io/v1beta1";
    let yaml = format!("printf 'apiVersion: {beta}\\nkind: ExecCredential\\nstatus:\\n  token: old\\n'");
    place(&server, &yaml, &format!("apiVersion: {beta}")).connect().await.unwrap();
}

/// It says that it runs by a file, and then waits for ever, in a child of its own.
const HANGS: &str = "echo $$ > \"$(dirname \"$0\")/pid\"\nsleep 1000 &\necho $! > \"$(dirname \"$0\")/child\"\nwait";

fn is_alive(place: &Place, file: &str) -> bool {
    let pid = std::fs::read_to_string(place.path().join(file)).unwrap_or_default();
    pid.trim().parse::<i32>().is_ok_and(|pid| {
        // One that has ended and that nobody has waited for is dead.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    })
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_plugin_that_hangs_ends_with_who_waits_for_it_and_so_does_what_it_started() {
    let server = Secure::start().await;
    let place = std::sync::Arc::new(place(&server, HANGS, ""));
    let waiting = tokio::spawn({
        let place = std::sync::Arc::clone(&place);
        async move { place.connect().await.map(drop) }
    });
    until("it runs", || is_alive(&place, "child")).await;
    waiting.abort();
    until("it and its child are gone", || !is_alive(&place, "pid") && !is_alive(&place, "child")).await;
}

#[tokio::test]
async fn a_plugin_that_hangs_has_a_deadline() {
    let server = Secure::start().await;
    let place = place(&server, HANGS, "");
    let snapshot = Snapshot::read(Some(&place.config()), Some("it"), &|_| None).unwrap();
    let mut plugin = Plugin::of(snapshot.user.exec.as_ref().unwrap(), &snapshot, None).unwrap();
    assert_eq!(plugin.limit, Duration::from_secs(30));
    plugin.limit = Duration::from_secs(1);
    let error = plugin.run().await.map(drop).unwrap_err();
    assert!(error.to_string().contains("did not answer in 1 s, and was ended"), "{error}");
    until("it and its child are gone", || !is_alive(&place, "pid") && !is_alive(&place, "child")).await;
}
