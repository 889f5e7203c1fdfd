use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::diagnose::Reason;
use crate::testing::{ApiServer, Fault};

const N: &str = "n";

fn deployment(name: &str, ready: u64, broken: bool) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": N,
            "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "main", "readinessProbe": {}}]}}},
        "status": {"observedGeneration": 1000, "replicas": 1, "updatedReplicas": 1, "availableReplicas": ready,
            "unavailableReplicas": u64::from(broken)}})
}

fn replica_set(name: &str, owner: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": format!("{name}-1"), "namespace": N,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": owner, "controller": true}]},
        "spec": {"replicas": 1}, "status": {"replicas": 1}})
}

fn uid(server: &ApiServer, kind: &str, name: &str) -> String {
    server.get(kind, Some(N), name).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// A pod whose container has ended so often.
fn pod(name: &str, owner: &str, crashes: u64) -> Value {
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "startedAt": "2100-01-01T00:00:00Z", "finishedAt": "2100-01-01T00:00:01Z"}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{name}-1-x"), "namespace": N,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-1"), "uid": owner, "controller": true}]},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
        "status": {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": "main", "ready": false, "restartCount": crashes - 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}]}})
}

fn awaited(name: &str) -> Awaited {
    Awaited::new(ObjectRef::of(&deployment(name, 1, false)).unwrap())
}

fn crashing(server: &ApiServer, name: &str, crashes: u64) {
    server.put(deployment(name, 0, true));
    server.put(replica_set(name, &uid(server, "Deployment", name)));
    crashed(server, name, crashes);
}

fn crashed(server: &ApiServer, name: &str, crashes: u64) {
    server.put(pod(name, &uid(server, "ReplicaSet", &format!("{name}-1")), crashes));
}

fn server() -> ApiServer {
    let server = ApiServer::new();
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": N}}));
    server
}

/// Longer than any of these takes: what must not wait for it fails by [`PATIENCE`] instead.
const FAR: Duration = Duration::from_secs(3600);
/// How long anything here may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a wait tells, for who acts on it: no step is taken by the clock.
#[derive(Clone)]
struct Told(watch::Sender<Option<Snapshot>>);

impl Told {
    fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    fn hear(&self, snapshot: &Snapshot) {
        self.0.send_replace(Some(snapshot.clone()));
    }

    /// Until the wait has told this.
    async fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        let mut told = self.0.subscribe();
        let heard = told.wait_for(|snapshot| snapshot.as_ref().is_some_and(&holds));
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("never told: {what}")).unwrap();
    }
}

/// Waits as it is asked to, and does not hang.
async fn ends(server: &ApiServer, awaited: &[Awaited], options: WaitOptions, told: &Told) -> Ending {
    let waiting = async { wait(&server.client(N), awaited, options, |snapshot| told.hear(snapshot)).await };
    timeout(PATIENCE, waiting).await.expect("the wait ends by itself")
}

async fn waited(server: &ApiServer, awaited: &[Awaited], seconds: u64) -> Ending {
    wait(&server.client(N), awaited, WaitOptions::new(Duration::from_secs(seconds)), |_| {}).await
}

#[tokio::test]
async fn what_is_ready_is_ready_at_once() {
    let server = server();
    server.put(deployment("server", 1, false));
    // It has a readiness probe: there is nothing to settle.
    let options = WaitOptions { settle: FAR, ..WaitOptions::new(FAR) };
    let ending = ends(&server, &[awaited("server")], options, &Told::new()).await;
    assert_eq!(ending.verdict, Verdict::Ready);
}

#[tokio::test]
async fn what_becomes_ready_is_told_row_by_row_and_ends_the_wait() {
    let server = server();
    server.put(deployment("server", 0, false));
    let told = Told::new();
    let (later, heard) = (server.clone(), told.clone());
    tokio::spawn(async move {
        heard.until("it starts", |snapshot| snapshot.rows[0].state.reason == "starting").await;
        later.put(deployment("server", 1, false));
    });
    let ending = ends(&server, &[awaited("server")], WaitOptions::new(FAR), &told).await;
    assert_eq!(ending.verdict, Verdict::Ready);
    told.until("it is ready", |snapshot| snapshot.rows[0].state.reason == "ready").await;
}

#[tokio::test]
async fn a_crash_that_repeats_is_failed_with_the_last_lines_of_its_log() {
    let server = server();
    crashing(&server, "server", 2);
    server.log(N, "server-1-x", "main", "starting\nout of cards\n");
    let Verdict::Failed { findings } = waited(&server, &[awaited("server")], 20).await.verdict else { panic!() };
    let finding = &findings[0];
    assert_eq!((finding.reason, finding.exit_code, finding.crashes), (Reason::CrashLoop, Some(3), Some(2)));
    assert_eq!(finding.log_lines, ["starting", "out of cards"]);
    assert_eq!(finding.message, "out of cards");
}

#[tokio::test]
async fn a_crash_is_no_verdict_while_something_that_it_needs_is_not_ready_and_counts_anew_afterwards() {
    let server = server();
    crashing(&server, "server", 7);
    server.put(deployment("postgres", 0, false));
    let postgres = awaited("postgres");
    let all = [awaited("server").after([postgres.object.clone()]), postgres];
    let told = Told::new();
    let (steps, heard) = (server.clone(), told.clone());
    tokio::spawn(async move {
        let crashes = |snapshot: &Snapshot| snapshot.rows[0].finding.as_ref().and_then(|finding| finding.crashes);
        heard
            .until("seven crashes, and it waits", |now| crashes(now) == Some(7) && now.rows[0].waits_for.len() == 1)
            .await;
        steps.put(deployment("postgres", 1, false));
        heard.until("it waits for nothing", |now| now.rows[0].waits_for.is_empty()).await;
        // One more crash than before the database was there: that it is told is no verdict yet.
        crashed(&steps, "server", 8);
        heard.until("the eighth crash", |now| crashes(now) == Some(8)).await;
        crashed(&steps, "server", 9);
    });
    let ending = ends(&server, &all, WaitOptions::new(FAR), &told).await;
    let Verdict::Failed { findings } = ending.verdict else { panic!("{:#?}", ending.verdict) };
    assert_eq!((findings[0].reason, findings[0].crashes), (Reason::CrashLoop, Some(9)));
}

#[tokio::test]
async fn an_api_server_that_goes_away_is_told_and_waited_for() {
    let server = server();
    server.put(deployment("server", 0, false));
    let told = Told::new();
    let (steps, heard) = (server.clone(), told.clone());
    let steps = tokio::spawn(async move {
        heard.until("it starts", |snapshot| snapshot.rows[0].state.reason == "starting").await;
        steps.stop_after(0);
        heard.until("nobody answers", |snapshot| snapshot.unreachable.is_some()).await;
        // What happens meanwhile is not lost.
        steps.put(deployment("server", 1, false));
        steps.resume();
    });
    let ending = ends(&server, &[awaited("server")], WaitOptions::new(FAR), &told).await;
    steps.await.expect("it was told");
    assert_eq!((ending.verdict, ending.last.unreachable), (Verdict::Ready, None));
}

#[tokio::test]
async fn a_cluster_that_never_answers_is_unreachable_and_not_failed() {
    let server = server();
    server.stop_after(0);
    let ending = waited(&server, &[awaited("server")], 2).await;
    assert!(matches!(ending.verdict, Verdict::Unreachable { .. }), "{:?}", ending.verdict);
}

#[tokio::test]
async fn who_may_not_look_is_told_so_at_once() {
    let server = server();
    let said = "deployments.apps is forbidden: User \"u\" cannot list resource \"deployments\"";
    server.fail_on("GET", "/deployments", Fault::status(403, "Forbidden", said));
    let ending = ends(&server, &[awaited("server")], WaitOptions::new(FAR), &Told::new()).await;
    let Verdict::Unreachable { message } = ending.verdict else { panic!() };
    assert!(message.contains("cannot list"), "{message}");
}

#[tokio::test]
async fn what_only_explains_may_be_forbidden() {
    let server = server();
    server.put(deployment("server", 1, false));
    server.fail_on("GET", "/nodes", Fault::status(403, "Forbidden", "nodes is forbidden"));
    server.fail_on("GET", "/events", Fault::status(403, "Forbidden", "events is forbidden"));
    assert_eq!(waited(&server, &[awaited("server")], 20).await.verdict, Verdict::Ready);
}

#[tokio::test]
async fn who_may_not_look_does_not_ask_again_and_again() {
    let server = server();
    server.put(deployment("server", 0, false));
    server.fail_always("/nodes", Fault::status(403, "Forbidden", "nodes is forbidden"));
    let told = Told::new();
    let asked = |server: &ApiServer, of: &str| server.seen().iter().filter(|seen| seen.path.ends_with(of)).count();
    let (steps, heard) = (server.clone(), told.clone());
    // The second look at whether the API is there comes long after a second question would.
    let polls = move |_: &Snapshot| asked(&steps, "/version") >= 2;
    let steps = server.clone();
    tokio::spawn(async move {
        heard.until("the cluster was asked how it is for some time", polls).await;
        steps.put(deployment("server", 1, false));
    });
    let ending = ends(&server, &[awaited("server")], WaitOptions::new(FAR), &told).await;
    assert_eq!(ending.verdict, Verdict::Ready);
    assert_eq!(asked(&server, "/nodes"), 1);
}

#[tokio::test]
async fn what_somebody_deletes_is_missing() {
    let server = server();
    server.put(deployment("server", 0, false));
    let told = Told::new();
    let (steps, heard) = (server.clone(), told.clone());
    tokio::spawn(async move {
        heard.until("it starts", |snapshot| snapshot.rows[0].state.reason == "starting").await;
        steps.remove("Deployment", Some(N), "server");
    });
    let ending = ends(&server, &[awaited("server")], WaitOptions::new(FAR), &told).await;
    let Verdict::Failed { findings } = ending.verdict else { panic!() };
    assert_eq!(findings[0].reason, Reason::Missing);
}

#[tokio::test]
async fn the_deadline_ends_what_is_only_slow_and_says_what_was_missing() {
    let server = server();
    server.put(deployment("server", 0, false));
    let Verdict::TimedOut { findings, missing } = waited(&server, &[awaited("server")], 2).await.verdict else {
        panic!()
    };
    assert_eq!((findings.len(), missing.len()), (0, 1));
    assert_eq!((missing[0].state.reason.as_str(), missing[0].state.ready), ("starting", Some(0)));
}

#[tokio::test]
async fn a_cancelled_wait_ends_at_once() {
    let server = server();
    server.put(deployment("server", 0, false));
    let options = WaitOptions::new(FAR);
    let (cancel, told) = (options.cancel.clone(), Told::new());
    let heard = told.clone();
    tokio::spawn(async move {
        heard.until("it starts", |snapshot| snapshot.rows[0].state.reason == "starting").await;
        cancel.cancel();
    });
    let ending = ends(&server, &[awaited("server")], options, &told).await;
    assert_eq!(ending.verdict, Verdict::Cancelled);
}
