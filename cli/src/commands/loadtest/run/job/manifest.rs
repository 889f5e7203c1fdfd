//! The Job whose pods are the generators: a pure function of what is asked for.

use card_core::ids::RunId;
use card_loadtests::shard::Assignment;
use serde_json::{Value, json};

/// Their label `app.kubernetes.io/name`: by it the network policies let them reach the servers.
pub(super) const COMPONENT: &str = "generator";
/// The container of a pod.
pub(super) const CONTAINER: &str = "generator";
/// Kubernetes' own label on the pods of a Job.
pub(super) const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

/// The servers, as pods of the same namespace reach them.
const PLATFORM: &str = "http://server:7400";
/// The cluster's own network is where the token may go to them without TLS.
const PLATFORM_HOST: &str = "server";
/// What the platform's secrets are in.
const SECRET: &str = "card-secrets";
const SECRETS: &str = "/run/secrets/card";
const TOKEN: &str = "operator-token";
/// The one directory that can be written.
const OUT: &str = "/out";
/// Beyond what the load takes: to be scheduled and to pull the image.
const STARTING_S: u64 = 300;
/// What has ended is left so long for whoever wants to look, if nobody removed it.
const LEFT_S: u64 = 600;

/// What is asked for.
pub(super) struct Order<'a> {
    /// Of the platform.
    pub(super) namespace: &'a str,
    /// The platform, if there are several.
    pub(super) instance: &'a str,
    /// Of `card-generator`, of this version.
    pub(super) image: &'a str,
    /// What they do.
    pub(super) assignment: &'a Assignment,
}

/// The name of the Job of a load test.
pub(super) fn name(run: &RunId) -> String {
    // The end of an id that is made up here is random; names of pods need room for more than a whole one.
    let letters: String = run.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    let end = letters.len().saturating_sub(12);
    format!("loadtest-{}", letters[end..].to_ascii_lowercase())
}

/// The Job.
///
/// # Errors
/// The assignment can't be written as JSON.
pub(super) fn job(order: &Order<'_>) -> Result<Value, serde_json::Error> {
    let assignment = Assignment { ledgers: Some(OUT.into()), ..order.assignment.clone() };
    let run = assignment.run.to_string();
    let labels = json!({
        "app.kubernetes.io/part-of": "cardctl",
        "app.kubernetes.io/name": COMPONENT,
        "app.kubernetes.io/instance": order.instance,
        "app.kubernetes.io/managed-by": "cardctl",
    });
    // Kubernetes puts variables in the place of $(NAME).
    let json = serde_json::to_string(&assignment)?.replace("$(", "$$(");
    let generators = assignment.generators;
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name(&assignment.run),
            "namespace": order.namespace,
            "labels": labels,
            "annotations": { "cardctl/run": run },
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": generators,
            "parallelism": generators,
            // A generator that is started again has lost its ledger: there is no second try.
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": assignment.limit().as_secs() + STARTING_S,
            "ttlSecondsAfterFinished": LEFT_S,
            "template": {
                "metadata": { "labels": labels, "annotations": { "cardctl/run": run } },
                "spec": pod(order.image, &json, assignment.grace().as_secs()),
            },
        },
    }))
}

fn pod(image: &str, assignment: &str, grace: u64) -> Value {
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        // Variables named after Services could be taken for settings.
        "enableServiceLinks": false,
        // Told to end, it waits for what was accepted, audits it, and hands over.
        "terminationGracePeriodSeconds": grace,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        // Each takes processor from whoever is on its node.
        "topologySpreadConstraints": [{
            "topologyKey": "kubernetes.io/hostname",
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": { "app.kubernetes.io/name": COMPONENT } },
        }],
        "containers": [{
            "name": CONTAINER,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["--target", PLATFORM, "--assignment", assignment],
            "env": [
                { "name": "CARDCTL_OPERATOR_TOKEN_FILE", "value": format!("{SECRETS}/{TOKEN}") },
                { "name": "CARDCTL_PLAIN_HTTP", "value": PLATFORM_HOST },
                { "name": "TMPDIR", "value": OUT },
            ],
            "resources": {
                // No limit for the processor: a generator that is held back measures itself.
                "requests": { "cpu": "100m", "memory": "128Mi" },
                "limits": { "memory": "1Gi" },
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "volumeMounts": [
                { "name": "secrets", "mountPath": SECRETS, "readOnly": true },
                { "name": "out", "mountPath": OUT },
            ],
        }],
        "volumes": [
            {
                "name": "secrets",
                "secret": { "secretName": SECRET, "items": [{ "key": TOKEN, "path": TOKEN }], "defaultMode": 0o440 },
            },
            { "name": "out", "emptyDir": { "sizeLimit": "2Gi" } },
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use card_loadtests::plan::{Overrides, presets};
    use card_loadtests::shard;
    use k8s_openapi::api::batch::v1::Job;

    use super::*;

    fn assignment(generators: u64) -> Assignment {
        let changes = Overrides { rate: Some(200.0), duration: Some(Duration::from_secs(60)), ..Overrides::default() };
        Assignment {
            v: shard::VERSION,
            run: "run_0193f1c2a3b4c5d6e7f8091a2b3c4d5e".parse().unwrap(),
            seed: 7,
            target: "kube".to_owned(),
            plan: presets::custom().with(changes).unwrap(),
            generators,
            ledgers: None,
        }
    }

    fn order(assignment: &Assignment) -> Value {
        let image = "registry.example/cards/card-generator@sha256:0000";
        job(&Order { namespace: "cardctl", instance: "default", image, assignment }).unwrap()
    }

    #[test]
    fn the_job_is_one_that_kubernetes_knows_with_nothing_that_it_does_not() {
        let job = order(&assignment(3));
        insta::assert_json_snapshot!(job);
        let read: Job = serde_json::from_value(job.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), job);
    }

    #[test]
    fn the_generators_are_told_the_whole_plan() {
        let assignment = Assignment { target: "$(HOME)".to_owned(), ..assignment(2) };
        let args = order(&assignment)["spec"]["template"]["spec"]["containers"][0]["args"].clone();
        let told = args[3].as_str().unwrap();
        assert!(told.contains("\"$$(HOME)\""), "{told}");
        let read = Assignment::read(&told.replace("$$(", "$(")).unwrap();
        assert_eq!(read, Assignment { ledgers: Some("/out".into()), ..assignment });
    }

    #[test]
    fn a_name_is_one_that_kubernetes_takes() {
        for (run, named) in
            [("run_0193f1c2a3b4c5d6e7f8091a2b3c4d5e", "loadtest-091a2b3c4d5e"), ("Nightly.7_", "loadtest-nightly7")]
        {
            assert_eq!(name(&run.parse().unwrap()), named);
        }
    }
}
