//! `up -t minikube`, with a stand-in for minikube on PATH that keeps to what minikube documents and writes down each call.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use cardctl::instance::Process;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::kubernetes::{IMAGES, Lab};
use crate::sandbox::{Ended, eventually};

/// A lab whose cluster is minikube's.
struct Yard {
    lab: Lab,
}

/// Exit codes and documents as minikube's `status`, `start` and `image` have them. What is there is in files.
const STAND_IN: &str = r#"
echo "$*" >>said
event() { echo '{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.'"$1"'","datacontenttype":"application/json","data":'"$2"'}'; }
status() { echo '{"Name":"minikube","Host":"'"$1"'","Kubelet":"'"$2"'","APIServer":"'"$2"'","Kubeconfig":"'"$3"'"}'; exit "$4"; }
how=$(cat how)
case "$*" in
  "status --output json --profile minikube")
    case $how in
      running) status Running Running Configured 0 ;;
      stopped) status Stopped Stopped Stopped 7 ;;
      misconfigured) status Running Running Misconfigured 4 ;;
      absent) event error '{"exitcode":"85","message":"Profile \"minikube\" not found."}'; exit 85 ;;
      broken) echo 'minikube: no home directory' >&2; exit 64 ;;
    esac ;;
  "start --output json --profile minikube")
    event step '{"currentstep":"0","message":"minikube v1.38.1","name":"Initial Minikube Setup","totalsteps":"19"}'
    if [ -f will-fail ]; then
      event error '{"advice":"Start the Docker service","exitcode":"69","id":"PROVIDER_DOCKER_NOT_RUNNING","message":"deadline exceeded running docker version"}'
      exit 69
    fi
    event step '{"currentstep":"12","message":"Preparing Kubernetes","name":"Preparing Kubernetes","totalsteps":"19"}'
    mkdir -p home/.kube
    cp kubeconfig home/.kube/config
    echo running >how ;;
  "-p minikube image ls --format json") cat has.json 2>/dev/null || echo null ;;
  "-p minikube image load /"*) if [ -f will-have.json ]; then cp will-have.json has.json; else echo 'X Exiting due to GUEST_IMAGE_LOAD' >&2; fi ;;
  *) exit 14 ;;
esac
"#;

const STATUS: &str = "status --output json --profile minikube";
const START: &str = "start --output json --profile minikube";
const LOOK: &str = "-p minikube image ls --format json";

impl Yard {
    /// With the profile in that state; unless it runs, no kubeconfig knows of it.
    fn new(state: &str) -> Self {
        let yard = Self { lab: Lab::new("minikube") };
        let path = yard.at("path/minikube");
        std::fs::create_dir(yard.at("path")).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{STAND_IN}", yard.lab.sandbox.path().display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(yard.at("how"), state).unwrap();
        std::fs::copy(yard.lab.kubeconfig(), yard.at("kubeconfig")).unwrap();
        if matches!(state, "absent" | "broken") {
            std::fs::remove_file(yard.lab.kubeconfig()).unwrap();
        }
        yard
    }

    fn at(&self, path: &str) -> PathBuf {
        self.lab.sandbox.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let path = format!("{}:{}", self.at("path").display(), std::env::var("PATH").unwrap());
        Ended::of(self.lab.command(arguments).env("PATH", path).output().unwrap())
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended
    }

    /// `up` with images that are named, so that none is built and loaded.
    fn up(&self, code: i32, more: &[&str]) -> Ended {
        self.expect(code, &[&["up", "-d", "-t", "minikube", "--wait-timeout", "1s"], &IMAGES[..], more].concat())
    }

    /// `up` with images made of small programs.
    fn up_with_images(&self, code: i32) -> Ended {
        self.programs();
        self.expect(code, &["up", "-d", "-t", "minikube", "--wait-timeout", "1s", "--binaries", "../bin", "-o", "json"])
    }

    fn programs(&self) {
        if std::fs::create_dir(self.at("bin")).is_ok() {
            for name in ["card-server", "card-worker", "card-generator"] {
                std::fs::copy("/bin/true", self.at("bin").join(name)).unwrap();
            }
        }
    }

    /// Makes loads work: what is listed afterwards are the images that `up` will build.
    fn will_have_what_is_built(&self) {
        self.programs();
        let built = self.expect(0, &["images", "build", "--binaries", "../bin", "-o", "json"]).json();
        let images = built["images"].as_array().unwrap().iter().map(|image| {
            let text = |key: &str| image[key].as_str().unwrap().to_owned();
            let id = text("config_digest").trim_start_matches("sha256:").to_owned();
            json!({"id": id, "repoDigests": [], "repoTags": [format!("docker.io/{}", text("reference"))], "size": "1"})
        });
        std::fs::write(self.at("will-have.json"), Value::Array(images.collect()).to_string()).unwrap();
    }

    /// Every call so far, in order.
    fn said(&self) -> Vec<String> {
        std::fs::read_to_string(self.at("said")).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
    }
}

#[test]
fn without_minikube_it_says_what_else_there_is() {
    let lab = Lab::new("minikube");
    let mut up = lab.command(&["up", "-d", "-t", "minikube", "-o", "json"]);
    let ended = Ended::of(up.env("PATH", lab.sandbox.path()).output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "minikube-missing");
    let fix = error["fix"].as_str().unwrap();
    assert!(fix.contains("minikube.sigs.k8s.io") && fix.contains("up -t kube"), "{fix}");
    assert_eq!(lab.server.seen().len(), 0);
}

#[test]
fn a_profile_that_is_not_there_is_made_and_nothing_is_said_about_how() {
    let yard = Yard::new("absent");
    let ended = yard.up(124, &[]);
    assert_eq!(yard.said(), [STATUS, START]);
    assert!(ended.stderr.contains("minikube has no profile"), "{}", ended.stderr);
    assert!(ended.stderr.contains("minikube 12/19: Preparing Kubernetes"), "{}", ended.stderr);
    assert!(yard.lab.server.get("Deployment", Some("cardctl"), "server").is_some());
}

#[test]
fn one_that_was_stopped_is_started_as_it_is() {
    let yard = Yard::new("stopped");
    let ended = yard.up(124, &[]);
    assert_eq!(yard.said(), [STATUS, START]);
    assert!(ended.stderr.contains("is not running (host stopped)"), "{}", ended.stderr);
}

#[test]
fn one_that_runs_is_only_looked_at() {
    let yard = Yard::new("running");
    yard.up(124, &[]);
    yard.up(124, &[]);
    assert_eq!(yard.said(), [STATUS, STATUS]);
    // Nor do the others have anything to do with minikube itself.
    yard.expect(8, &["status", "-t", "minikube"]);
    yard.expect(0, &["down", "-t", "minikube", "--purge", "--yes"]);
    assert_eq!(yard.said(), [STATUS, STATUS]);
    assert_eq!(yard.lab.left(), Vec::<String>::new());
    assert_eq!(std::fs::read_to_string(yard.at("how")).unwrap(), "running");
}

#[test]
fn a_kubeconfig_with_another_address_is_left_to_its_owner() {
    let yard = Yard::new("misconfigured");
    let ended = yard.up(3, &["-o", "json"]);
    let error = &ended.json()["error"];
    assert_eq!(error["fix"], "minikube update-context --profile minikube");
    assert_eq!(yard.said(), [STATUS]);
    assert_eq!(yard.lab.server.seen().len(), 0);
}

#[test]
fn a_start_that_fails_is_told_with_its_reason_and_advice() {
    let yard = Yard::new("absent");
    std::fs::write(yard.at("will-fail"), "").unwrap();
    let ended = yard.up(3, &["-o", "json"]);
    let error = &ended.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("PROVIDER_DOCKER_NOT_RUNNING"), "{error}");
    assert_eq!(error["evidence"], json!(["deadline exceeded running docker version"]));
    assert_eq!(error["fix"], "Start the Docker service");
    assert_eq!(yard.said(), [STATUS, START]);
}

#[test]
fn what_a_start_leaves_running_holds_nothing_of_the_callers() {
    let yard = Yard::new("absent");
    let path = yard.at("path/minikube");
    let stand_in = std::fs::read_to_string(&path).unwrap();
    // As a virtual machine does: it runs on, and the descriptors that it inherited are open as long.
    let leaves = "mkdir -p home/.kube\n    sleep 1000 >/dev/null 2>&1 &\n    echo $! >machine";
    std::fs::write(&path, stand_in.replace("mkdir -p home/.kube", leaves)).unwrap();
    let up = [&["up", "-d", "-t", "minikube", "--wait-timeout", "1s"], &IMAGES[..]].concat().join(" ");
    let script = format!("flock -n L $CARDCTL {up}; echo $?; flock -n L true && echo free");
    let path = format!("{}:{}", yard.at("path").display(), std::env::var("PATH").unwrap());
    let mut shell = yard.lab.sandbox.program("bash", &["-c", &script]);
    let ended = Ended::of(shell.env("PATH", path).output().unwrap());
    let machine = std::fs::read_to_string(yard.at("machine")).unwrap().trim().parse().unwrap();
    Process::of(machine).unwrap().signal(Signal::SIGKILL).unwrap();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), ["124", "free"], "{}", ended.stderr);
}

#[test]
fn a_start_that_is_ended_says_by_what() {
    for (signal, code, name) in [(Signal::SIGTERM, 143, "terminated"), (Signal::SIGINT, 130, "interrupted")] {
        let yard = Yard::new("absent");
        let path = yard.at("path/minikube");
        let stand_in = std::fs::read_to_string(&path).unwrap();
        let waits = "mkdir -p home/.kube\n    echo >begun\n    exec sleep 1000";
        std::fs::write(&path, stand_in.replace("mkdir -p home/.kube", waits)).unwrap();
        let path = format!("{}:{}", yard.at("path").display(), std::env::var("PATH").unwrap());
        let mut command = yard.lab.command(&["up", "-d", "-t", "minikube", "-o", "json"]);
        let up = command.env("PATH", path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("minikube starts", || yard.at("begun").exists());
        Process::of(up.id()).unwrap().signal(signal).unwrap();
        let ended = Ended::of(up.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let error = &ended.json()["error"];
        assert_eq!((&error["code"], &error["exit"]), (&json!(name), &json!(code)), "{error}");
        assert!(error["left"].as_str().unwrap().contains("minikube continues the next time"), "{error}");
        eventually("minikube has ended with it", || yard.lab.sandbox.processes().is_empty());
    }
}

#[test]
fn a_minikube_that_can_not_say_how_it_is_is_not_started() {
    let yard = Yard::new("broken");
    let ended = yard.up(3, &["-o", "json"]);
    assert_eq!(ended.json()["error"]["evidence"], json!(["minikube: no home directory"]));
    assert_eq!(yard.said(), [STATUS]);
}

#[test]
fn images_are_loaded_once_and_looked_for_afterwards() {
    let yard = Yard::new("running");
    yard.will_have_what_is_built();
    yard.up_with_images(124);
    let said = yard.said();
    assert_eq!(said[..2], [STATUS, LOOK]);
    let loads = said.iter().filter(|call| call.starts_with("-p minikube image load /")).count();
    assert!(
        loads > 0 && said.iter().all(|call| call == STATUS || call == LOOK || call.contains(" image load /")),
        "{said:?}"
    );
    let server = yard.lab.server.get("Deployment", Some("cardctl"), "server").unwrap();
    let container = &server["spec"]["template"]["spec"]["containers"][0];
    assert!(container["image"].as_str().unwrap().starts_with("cardctl/card-server:sha-"), "{container}");
    assert_eq!(container["imagePullPolicy"], "Never");
    yard.up_with_images(124);
    let again = &yard.said()[said.len()..];
    assert!(!again.iter().any(|call| call.contains("image load")), "{again:?}");
}

#[test]
fn a_load_that_ends_well_and_loads_nothing_is_not_believed() {
    let yard = Yard::new("running");
    let ended = yard.up_with_images(3);
    let error = &ended.json()["error"];
    assert!(error.to_string().contains("card-server"), "{error}");
    assert!(error["evidence"].to_string().contains("GUEST_IMAGE_LOAD"), "{error}");
    assert_eq!(yard.lab.writes(), 0, "it was deployed without its images");
}
