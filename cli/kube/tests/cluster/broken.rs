//! Deployments that can't come up, and the name that each must get.

use card_kube::diagnose::Reason;
use serde_json::{Value, json};

use crate::place::{deployment, image, shell};
use crate::run::must_be_named;

macro_rules! broken {
    ($($name:ident => $reason:ident, $objects:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            must_be_named(stringify!($name), Reason::$reason, json!({}), $objects).await;
        })*
    };
}

broken! {
    an_image_that_the_registry_does_not_have => ImageNotFound, [deployment("web", json!({"image": missing_image()}), json!({}))];
    a_registry_that_is_not_there => ImageRegistryUnreachable, [deployment("web", json!({"image": "registry.invalid/card-server:1"}), json!({}))];
    an_image_that_is_not_loaded => ImageNeverPull,
        [deployment("web", json!({"image": "cardctl/nothing:sha-0", "imagePullPolicy": "Never"}), json!({}))];
    an_image_name_that_can_not_be => ImageNameInvalid, [deployment("web", json!({"image": "UPPER/Bad:::x"}), json!({}))];
    a_program_that_ends_with_an_error => CrashLoop, [deployment("web", shell("echo starting; echo out of cards >&2; exit 3"), json!({}))];
    a_program_that_is_done_at_once => CrashLoop, [deployment("web", shell("exit 0"), json!({}))];
    a_program_that_needs_more_memory => OutOfMemory, [deployment("web",
        json!({"command": ["sh", "-c", "x=a; while :; do x=$x$x; done"], "resources": {"limits": {"memory": "16Mi", "cpu": "200m"}}}), json!({}))];
    a_program_that_is_not_in_the_image => EntrypointNotFound, [deployment("web", json!({"command": ["/bin/nothing"]}), json!({}))];
    a_program_for_another_processor => WrongArchitecture, [deployment("web", shell(
        // What a shell says of it, between bytes that are no text.
        "printf '\\377\\376\\n'; echo 'exec /usr/bin/card-server: exec format error'; exit 126"), json!({}))];
    a_file_system_that_is_read_only => ReadOnlyFileSystem, [deployment("web",
        json!({"command": ["sh", "-c", "echo x > /state || exit 1"], "securityContext": {"readOnlyRootFilesystem": true}}), json!({}))];
    more_than_any_node_has => UnschedulableResources, [deployment("web", json!({"resources": {"requests": {"cpu": "900"}}}), json!({}))];
    a_node_that_does_not_exist => UnschedulableSelector, [deployment("web", json!({}), json!({"nodeSelector": {"card/none": "here"}}))];
    a_secret_that_is_not_there => SecretMissing, [deployment("web",
        json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "card-secrets", "key": "signing-key"}}}]}), json!({}))];
    a_secret_volume_that_is_not_there => SecretMissing, [deployment("web", json!({"volumeMounts": [{"name": "s", "mountPath": "/s"}]}),
        json!({"volumes": [{"name": "s", "secret": {"secretName": "card-secrets"}}]}))];
    a_secret_without_the_key => SecretKeyMissing, [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "card-secrets"}, "stringData": {"other": "x"}}),
        deployment("web", json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "card-secrets", "key": "signing-key"}}}]}), json!({}))];
    a_config_map_that_is_not_there => ConfigMapMissing, [deployment("web", json!({"envFrom": [{"configMapRef": {"name": "settings"}}]}), json!({}))];
    a_service_account_that_is_not_there => ServiceAccountMissing, [deployment("web", json!({}), json!({"serviceAccountName": "nobody"}))];
    an_image_that_would_run_as_root => RunsAsRoot, [deployment("web", json!({"securityContext": {"runAsNonRoot": true}}), json!({}))];
    a_quota_that_is_used_up => QuotaExceeded, [
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}}),
        deployment("web", json!({}), json!({}))];
    a_limit_range_that_forbids_it => LimitRange, [
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "4Mi"}}]}}),
        deployment("web", json!({}), json!({}))];
    a_probe_that_nothing_listens_to => PortRefused, [deployment("web",
        json!({"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}), json!({}))];
    a_probe_that_says_no => ReadinessProbeFailed, [deployment("web",
        json!({"readinessProbe": {"exec": {"command": ["sh", "-c", "echo no ledger; exit 1"]}, "periodSeconds": 1}}), json!({}))];
    a_start_that_takes_too_long => StartupProbeFailed, [deployment("web",
        json!({"startupProbe": {"exec": {"command": ["sh", "-c", "echo not yet; exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}}), json!({}))];
    a_program_that_stops_answering => LivenessProbeFailed, [deployment("web",
        json!({"livenessProbe": {"exec": {"command": ["sh", "-c", "echo stuck; exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}}), json!({}))];
    a_storage_class_that_is_not_there => StorageClassMissing, [
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {"storageClassName": "card-none",
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}),
        deployment("web", json!({"volumeMounts": [{"name": "d", "mountPath": "/d"}]}),
            json!({"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}))];
    a_claim_that_nobody_made => VolumeClaimMissing, [deployment("web", json!({"volumeMounts": [{"name": "d", "mountPath": "/d"}]}),
        json!({"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}))];
    a_migration_with_the_wrong_password => MigrationPassword, [migrating(
        "echo 'error: Postgres refused a statement: error returned from database: password authentication failed for user \"card\"' >&2; exit 3")];
    a_migration_of_a_newer_schema => MigrationSchemaNewer, [migrating(
        "echo 'error: the database has schema 9, of a newer version; this one knows schema 7 and changed nothing' >&2; exit 3")];
    a_migration_without_a_database => MigrationUnreachable, [migrating(
        "echo 'error: the connection to Postgres is broken: Connection refused (os error 111); tried for 2m' >&2; exit 3")];
    a_job_that_fails => JobFailed, [json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"}, "spec": {"backoffLimit": 0,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image(),
            "command": ["sh", "-c", "echo three of ten cards are lost; exit 9"]}]}}}})];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_the_namespace_forbids() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    must_be_named(
        "a_pod_that_the_namespace_forbids",
        Reason::PodSecurity,
        labels,
        [deployment("web", json!({}), json!({}))],
    )
    .await;
}

/// A registry on the nodes' loopback that answers, or the public one that surely has no such image.
fn missing_image() -> String {
    let registry = std::env::var("CARDCTL_TEST_REGISTRY").unwrap_or_else(|_| "docker.io/library".to_owned());
    format!("{registry}/card-nothing-of-that-name:1")
}

fn migrating(script: &str) -> Value {
    deployment(
        "web",
        json!({}),
        json!({"initContainers": [{"name": "migrate", "image": image(), "command": ["sh", "-c", script]}]}),
    )
}
