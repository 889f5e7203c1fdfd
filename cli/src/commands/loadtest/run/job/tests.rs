//! The generators of a Job as they are heard, against a Kubernetes API in memory: pods do what a test says they did.

use card_kube::Owner;
use card_kube::cluster::Cluster;
use card_kube::testing::ApiServer;
use card_loadtests::shard::wire::{Line, Piece};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Duration, timeout};

use super::super::generators::Heard;
use super::*;

const N: &str = "cardctl";
const JOB: &str = "loadtest-1";
/// How long anything here may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Job of two that was just made, and whoever follows it.
struct Lab {
    server: ApiServer,
    crew: Crew,
}

impl Lab {
    async fn new() -> Self {
        let server = ApiServer::new();
        server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": N}}));
        server.put(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": JOB, "namespace": N},
            "spec": {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "generator", "image": "i"}]}}}}));
        let cluster = Cluster::of_client(server.client(N), N, Owner::new("cardctl")).await.unwrap();
        let job: Job = serde_json::from_value(server.get("Job", Some(N), JOB).unwrap()).unwrap();
        let (tell, heard) = mpsc::channel(WAITING);
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let following = Following::new(cluster, &job, 2, tell, stop.clone(), kill.clone());
        tokio::spawn(following.until_all_have_ended());
        Self { server, crew: Crew { heard, stop, kill } }
    }

    /// The pod of the generator with this number, from 1, is at this.
    fn pod(&self, number: u64, status: &Value) {
        let name = pod_of(number);
        let labels = json!({"batch.kubernetes.io/job-name": JOB, "app.kubernetes.io/name": "generator"});
        self.server.put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": N,
            "labels": labels}, "spec": {"containers": [{"name": "generator", "image": "i"}]}, "status": status}));
    }

    fn wrote(&self, number: u64, lines: &[String]) {
        self.server.log(N, &pod_of(number), "generator", &lines.join("\n"));
    }

    /// Everything until nobody is left.
    async fn rest(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        while let Some(heard) = timeout(PATIENCE, self.crew.heard.recv()).await.expect("an end") {
            all.push(heard);
        }
        all
    }

    async fn until(&self, what: &str, holds: impl Fn(&ApiServer) -> bool) {
        let waiting = async {
            while !holds(&self.server) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never seen: {what}"));
    }

    fn job_is_there(&self) -> bool {
        self.server.get("Job", Some(N), JOB).is_some()
    }
}

fn pod_of(number: u64) -> String {
    format!("{JOB}-{}-abcde", number - 1)
}

fn running() -> Value {
    json!({"phase": "Running", "containerStatuses": [{"name": "generator", "state": {"running": {}}}]})
}

fn ended(code: u64, reason: &str) -> Value {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let terminated = json!({"exitCode": code, "reason": reason});
    json!({"phase": phase, "containerStatuses": [{"name": "generator", "state": {"terminated": terminated}}]})
}

fn waiting(reason: &str, message: &str) -> Value {
    let waiting = json!({"reason": reason, "message": message});
    json!({"phase": "Pending", "containerStatuses": [
        {"name": "generator", "image": "i", "restartCount": 0, "state": {"waiting": waiting}}]})
}

/// A shard in two pieces; nobody here opens it.
fn shard(number: u64) -> Vec<String> {
    let sha256: String = Sha256::digest(b"whole").iter().map(|byte| format!("{byte:02x}")).collect();
    let piece = |part| {
        let piece =
            Piece { v: 1, generator: number, part, parts: 2, sha256: sha256.clone(), data: format!("part{part}") };
        serde_json::to_string(&Line::Shard(piece)).unwrap()
    };
    vec![piece(1), piece(2)]
}

/// How each of them went.
fn gone(heard: &[Heard]) -> Vec<(u64, &str)> {
    let mut gone: Vec<_> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Gone(number, how) => Some((*number, how.as_str())),
            _ => None,
        })
        .collect();
    gone.sort_unstable();
    gone
}

fn lines(heard: &[Heard], of: u64) -> Vec<&str> {
    heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Line(number, line) if *number == of => Some(line.as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn both_are_heard_to_the_end_and_the_job_is_removed() {
    let mut lab = Lab::new().await;
    for number in [1, 2] {
        lab.wrote(number, &shard(number));
        lab.pod(number, &ended(0, "Completed"));
    }
    let heard = lab.rest().await;
    let well = "its container exited with code 0";
    assert_eq!(gone(&heard), [(1, well), (2, well)], "{}", words(&heard));
    for number in [1, 2] {
        let lines = lines(&heard, number);
        assert!(shard(number).iter().all(|line| lines.contains(&line.as_str())), "{lines:?}");
    }
    assert!(!lab.job_is_there());
}

#[tokio::test]
async fn one_that_leaves_nothing_behind_is_gone_with_its_reason_and_last_words() {
    let mut lab = Lab::new().await;
    lab.wrote(1, &shard(1));
    lab.pod(1, &ended(0, "Completed"));
    lab.wrote(2, &["error: memory is full".to_owned()]);
    lab.pod(2, &ended(137, "OOMKilled"));
    let heard = lab.rest().await;
    assert_eq!(gone(&heard)[1], (2, "its container exited with code 137 (OOMKilled)"));
    assert!(lines(&heard, 2).contains(&"error: memory is full"), "{}", words(&heard));
}

#[tokio::test]
async fn an_image_that_there_is_not_ends_the_wait_and_says_so() {
    let mut lab = Lab::new().await;
    for number in [1, 2] {
        lab.pod(number, &waiting("ErrImagePull", "rpc error: code = NotFound desc = i: not found"));
    }
    let heard = lab.rest().await;
    let gone = gone(&heard);
    assert_eq!(gone.len(), 2);
    assert!(
        gone.iter().all(|(_, how)| how.contains("its pod does not start") && how.contains("not found")),
        "{gone:?}"
    );
    assert!(words(&heard).contains("generators 1, 2 not running yet: ErrImagePull"), "{}", words(&heard));
    assert!(!lab.job_is_there(), "nothing tries for ever");
}

#[tokio::test]
async fn told_to_stop_the_job_goes_and_what_pods_say_on_their_way_is_heard() {
    let mut lab = Lab::new().await;
    for number in [1, 2] {
        lab.pod(number, &running());
    }
    lab.crew.stop.cancel();
    lab.until("the job is deleted", |server| server.get("Job", Some(N), JOB).is_none()).await;
    // The garbage collector's part, and the generators'.
    for number in [1, 2] {
        lab.wrote(number, &shard(number));
        lab.pod(number, &ended(0, "Completed"));
    }
    let heard = lab.rest().await;
    let well = "its container exited with code 0";
    assert_eq!(gone(&heard), [(1, well), (2, well)]);
    assert!([1, 2].into_iter().all(|number| lines(&heard, number).len() >= 2), "{}", words(&heard));
}

#[tokio::test]
async fn killed_the_pods_are_deleted_without_grace() {
    let mut lab = Lab::new().await;
    for number in [1, 2] {
        lab.pod(number, &running());
    }
    // Whether they are known already or not.
    lab.crew.kill.cancel();
    let heard = lab.rest().await;
    assert_eq!(gone(&heard), [(1, "it did not finish in time"), (2, "it did not finish in time")]);
    assert!(!lab.job_is_there());
    assert!([1, 2].iter().all(|number| lab.server.get("Pod", Some(N), &pod_of(*number)).is_none()));
}

#[tokio::test]
async fn a_job_that_can_not_be_removed_is_told_with_the_command_that_does() {
    let mut lab = Lab::new().await;
    lab.server.fail_on("DELETE", "/jobs/", card_kube::testing::Fault::status(403, "Forbidden", "you may not"));
    for number in [1, 2] {
        lab.wrote(number, &shard(number));
        lab.pod(number, &ended(0, "Completed"));
    }
    let heard = lab.rest().await;
    assert!(words(&heard).contains("kubectl delete job loadtest-1 -n cardctl"), "{}", words(&heard));
    assert!(lab.job_is_there());
}

fn words(heard: &[Heard]) -> String {
    let words = heard.iter().filter_map(|heard| match heard {
        Heard::Word(word) => Some(word.as_str()),
        _ => None,
    });
    words.collect::<Vec<_>>().join("\n")
}
