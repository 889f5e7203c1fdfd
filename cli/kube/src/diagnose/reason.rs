//! What can be wrong, each with its stable name, its likely cause, what helps, and how long it may be a blip.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tolerate;

/// How long a finding may go away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It can't; so many seconds only for what was written before something else was.
    Seconds(u64),
    /// That many crashes, counted from when everything that it needs is there.
    Crashes(u32),
    /// As many crashes as [`Tolerate::crashes`] says, and so many more.
    Tolerated(u32),
    /// As long as [`Tolerate::unready`] says.
    Unready,
    /// It is slow or waits for somebody else. Only the deadline ends it.
    Never,
}

impl Patience {
    /// The time that it takes, where it is a time.
    pub(super) fn lasts(self, tolerate: &Tolerate) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds)),
            Self::Unready => Some(tolerate.unready),
            Self::Crashes(_) | Self::Tolerated(_) | Self::Never => None,
        }
    }

    /// The number of crashes that it takes, where it is counted.
    pub(super) fn crashes(self, tolerate: &Tolerate) -> Option<u32> {
        match self {
            Self::Crashes(crashes) => Some(crashes),
            Self::Tolerated(more) => Some(tolerate.crashes.saturating_add(more)),
            Self::Seconds(_) | Self::Unready | Self::Never => None,
        }
    }
}

macro_rules! reasons {
    ($($name:ident $code:literal $patience:expr, $cause:literal, $fix:literal;)*) => {
        /// What is wrong. Its name is stable and kebab-case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Reason { $($name),* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// How long it may be a blip.
            #[must_use]
            pub const fn patience(self) -> Patience {
                match self { $(Self::$name => $patience),* }
            }

            /// The likely cause, with `{name}` for what is missing or refused.
            pub(super) const fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause),* }
            }

            /// What helps, with `{namespace}`, `{object}`, `{pod}`, `{container}`, `{owner}`, `{name}`, and `{load}` and `{push}`
            /// for an image.
            pub(super) const fn fix(self) -> &'static str {
                match self { $(Self::$name => $fix),* }
            }
        }
    };
}

use Patience::{Crashes, Never, Seconds, Tolerated, Unready};

reasons! {
    ImageNotFound "image-not-found" Seconds(0), "the registry has no image {name}: never pushed, or another tag",
        "{push}";
    ImageRegistryUnreachable "image-registry-unreachable" Seconds(5), "the node can't reach the registry of {name}: wrong host, or no route",
        "{load}";
    ImageUnauthorised "image-unauthorised" Seconds(0), "the registry wants credentials for {name} that the pod does not have, or has no such repository",
        "kubectl -n {namespace} create secret docker-registry registry --docker-server=HOST --docker-username=USER --docker-password=PASSWORD";
    ImageNeverPull "image-never-pull" Seconds(3), "{name} is not on the node, and its pull policy is Never",
        "{load}";
    ImageNameInvalid "image-name-invalid" Seconds(0), "{name} is not a valid image name",
        "kubectl -n {namespace} get {owner} -o jsonpath='{.spec.template.spec.containers[*].image}'";
    ImagePullFailed "image-pull-failed" Seconds(30), "pulling {name} was interrupted; the node retries",
        "kubectl -n {namespace} describe {object}";
    ImagePulling "image-pulling" Never, "{name} is large, or the registry slow",
        "kubectl -n {namespace} get events --watch";
    CrashLoop "crash-loop" Tolerated(0), "container {container} exits soon after it starts",
        "kubectl -n {namespace} logs {pod} -c {container} --previous";
    OutOfMemory "out-of-memory" Crashes(2), "container {container} needs more memory than its limit",
        "kubectl -n {namespace} set resources {owner} -c {container} --limits=memory=512Mi";
    WrongArchitecture "wrong-architecture" Crashes(1), "the image is for a different CPU architecture than the node",
        "cardctl images build --platform linux/arm64";
    EntrypointNotFound "entrypoint-not-found" Crashes(1), "the image of container {container} does not have the program to run",
        "kubectl -n {namespace} get {pod} -o jsonpath='{.spec.containers[*].command}'";
    ReadOnlyFileSystem "read-only-file-system" Crashes(1), "container {container} writes to a read-only file system",
        "kubectl -n {namespace} logs {pod} -c {container} --previous";
    PermissionDenied "permission-denied" Crashes(2), "container {container} runs as a user without the permission: a file, a volume or a port below 1024",
        "kubectl -n {namespace} get {pod} -o jsonpath='{.spec.securityContext}'";
    AddressInUse "address-in-use" Crashes(2), "two programs of one pod listen on the same port",
        "kubectl -n {namespace} get {pod} -o jsonpath='{.spec.containers[*].ports}'";
    DependencyUnreachable "dependency-unreachable" Tolerated(1), "container {container} can't reach a service it needs: wrong address, network policy, or not running",
        "kubectl -n {namespace} get endpointslices,networkpolicies";
    DatabasePassword "database-password" Crashes(1), "the password is not the one that the database was created with; a volume keeps the first one",
        "kubectl -n {namespace} describe secret card-secrets";
    DatabaseRight "database-right" Crashes(2), "the database role of container {container} lacks permissions; see docs/operations.md",
        "kubectl -n {namespace} logs {pod} -c {container} --previous";
    MigrationPassword "migration-password" Crashes(1), "the password is not the one that the database was created with; a volume keeps the first one",
        "kubectl -n {namespace} describe secret card-secrets";
    MigrationSchemaNewer "migration-schema-newer" Crashes(1), "the database was migrated by a newer version than this image",
        "cardctl images build";
    MigrationUnreachable "migration-unreachable" Tolerated(1), "the database can't be reached from the pod: wrong address, network policy, or not running",
        "kubectl -n {namespace} get pods,endpointslices,networkpolicies";
    MigrationFailed "migration-failed" Tolerated(0), "the database refused a change of its schema",
        "kubectl -n {namespace} logs {pod} -c {container}";
    UnschedulableResources "unschedulable-resources" Seconds(9), "no node has enough free {name}",
        "kubectl describe nodes";
    UnschedulableSelector "unschedulable-selector" Seconds(3), "no node has the labels that the pod requires",
        "kubectl get nodes --show-labels";
    UnschedulableTaint "unschedulable-taint" Seconds(5), "the nodes are tainted and the pod does not tolerate it",
        "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints";
    UnschedulableVolume "unschedulable-volume" Seconds(5), "the volume is on a node or in a zone where the pod can't be",
        "kubectl -n {namespace} describe pvc";
    UnschedulableSpread "unschedulable-spread" Seconds(5), "there are too few nodes for pods that can't share a node",
        "kubectl get nodes";
    UnschedulablePorts "unschedulable-ports" Seconds(5), "another pod on the node uses the host port",
        "kubectl get pods -A -o wide";
    Unschedulable "unschedulable" Seconds(10), "the scheduler finds no node",
        "kubectl -n {namespace} describe {object}";
    VolumeClaimMissing "volume-claim-missing" Seconds(5), "the pod mounts the claim {name}, which does not exist",
        "kubectl -n {namespace} get pvc";
    StorageClassMissing "storage-class-missing" Seconds(3), "there is no storage class {name}, so the volume can't be created",
        "kubectl get storageclass";
    VolumeProvisioning "volume-provisioning" Never, "the provisioner has not created the volume yet, or is not running",
        "kubectl -n {namespace} describe {object}";
    VolumeProvisioningFailed "volume-provisioning-failed" Seconds(20), "the provisioner could not create the volume",
        "kubectl -n {namespace} describe {object}";
    VolumeMultiAttach "volume-multi-attach" Seconds(30), "the volume is still attached to another node, where a pod uses it",
        "kubectl -n {namespace} get pods -o wide";
    VolumeMountFailed "volume-mount-failed" Seconds(30), "the node can't mount a volume",
        "kubectl -n {namespace} describe {object}";
    ReadinessProbeFailed "readiness-probe-failed" Unready, "container {container} is running, but reports that it is not ready",
        "kubectl -n {namespace} logs {pod} -c {container}";
    PortRefused "port-refused" Unready, "nothing listens on the port that the probe asks: another port, or only on loopback",
        "kubectl -n {namespace} logs {pod} -c {container}";
    StartupProbeFailed "startup-probe-failed" Tolerated(0), "container {container} is killed before it is ready: it hangs, or the probe is too strict",
        "kubectl -n {namespace} logs {pod} -c {container} --previous";
    LivenessProbeFailed "liveness-probe-failed" Tolerated(0), "container {container} is killed because it does not answer its probe",
        "kubectl -n {namespace} logs {pod} -c {container} --previous";
    QuotaExceeded "quota-exceeded" Seconds(5), "the namespace's quota is used up",
        "kubectl -n {namespace} describe resourcequota";
    QuotaNeedsLimits "quota-needs-limits" Seconds(0), "a quota of the namespace requires requests and limits on every container",
        "kubectl -n {namespace} describe resourcequota";
    LimitRange "limit-range" Seconds(0), "a limit range of the namespace forbids these requests or limits",
        "kubectl -n {namespace} describe limitrange";
    PodSecurity "pod-security" Seconds(0), "the namespace's pod security level forbids the pod",
        "kubectl get namespace {namespace} -o jsonpath='{.metadata.labels}'";
    WebhookRefused "webhook-refused" Seconds(0), "a policy of this cluster refuses the pod",
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations";
    WebhookUnreachable "webhook-unreachable" Seconds(10), "an admission webhook of this cluster does not answer, and it blocks the pod",
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations";
    ServiceAccountMissing "service-account-missing" Seconds(3), "the pod's service account {name} does not exist",
        "kubectl -n {namespace} create serviceaccount {name}";
    NamespaceTerminating "namespace-terminating" Seconds(0), "the namespace is being deleted",
        "kubectl get namespace {namespace} --watch";
    CreateRefused "create-refused" Seconds(5), "the API server refuses to create its pods",
        "kubectl -n {namespace} describe {object}";
    SecretMissing "secret-missing" Seconds(3), "the secret {name} does not exist",
        "kubectl -n {namespace} get secrets";
    SecretKeyMissing "secret-key-missing" Seconds(3), "the secret {name} lacks a key that the pod needs",
        "kubectl -n {namespace} describe secret {name}";
    ConfigMapMissing "config-map-missing" Seconds(3), "the config map {name} does not exist",
        "kubectl -n {namespace} get configmaps";
    ConfigMapKeyMissing "config-map-key-missing" Seconds(3), "the config map {name} lacks a key that the pod needs",
        "kubectl -n {namespace} describe configmap {name}";
    RunsAsRoot "runs-as-root" Seconds(0), "the pod must not run as root, and the image sets no other user",
        "cardctl images verify";
    ContainerConfig "container-config" Seconds(10), "the node can't create the container",
        "kubectl -n {namespace} describe {object}";
    SandboxFailed "sandbox-failed" Seconds(60), "the node can't create the pod's network or sandbox",
        "kubectl -n {namespace} describe {object}";
    NodeNotReady "node-not-ready" Seconds(60), "node {name} does not answer, or is under pressure",
        "kubectl describe node {name}";
    Evicted "evicted" Seconds(20), "the node ran out of memory or disk and evicted the pod",
        "kubectl -n {namespace} describe {object}";
    JobFailed "job-failed" Seconds(0), "its pods reached the limit of failures",
        "kubectl -n {namespace} logs {object} --all-containers";
    JobDeadline "job-deadline" Seconds(0), "it took longer than its deadline",
        "kubectl -n {namespace} logs {object} --all-containers";
    ProgressDeadline "progress-deadline" Seconds(5), "the rollout made no progress within its deadline",
        "kubectl -n {namespace} describe {object}";
    Stalled "stalled" Seconds(10), "its controller gave up",
        "kubectl -n {namespace} describe {object}";
    Missing "missing" Seconds(3), "somebody deleted it after it was applied",
        "kubectl -n {namespace} get {object}";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
