//! Images as the command line makes, loads and verifies them. What belongs to others (minikube, docker, cargo) is stood
//! in for by a script on PATH.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::{Ended, Sandbox, eventually};

/// A sandbox with small programs in `bin/`, and a directory that comes first on PATH.
struct Yard {
    sandbox: Sandbox,
}

impl Yard {
    fn new() -> Self {
        let yard = Self { sandbox: Sandbox::new() };
        for dir in ["bin", "path"] {
            std::fs::create_dir(yard.at(dir)).unwrap();
        }
        std::fs::write(yard.at("ca.pem"), "-----BEGIN CERTIFICATE-----\nof a test\n").unwrap();
        for name in ["card-server", "card-worker", "cardctl"] {
            std::fs::write(yard.at("bin").join(name), program()).unwrap();
        }
        yard
    }

    fn at(&self, path: &str) -> PathBuf {
        self.sandbox.path().join(path)
    }

    fn stand_in(&self, name: &str, script: &str) {
        let path = self.at("path").join(name);
        std::fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{script}\n", self.sandbox.path().display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        let own = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{own}", self.at("path").display()));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended
    }

    fn build_arguments<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        // Relative to the working directory, `work/`.
        [&["images", "build", "--binaries", "../bin", "--certificates", "../ca.pem"], more].concat()
    }

    fn build(&self) -> serde_json::Value {
        self.expect(0, &self.build_arguments(&["-o", "json"])).json()
    }

    /// Where images are outside of a source tree.
    fn images(&self) -> PathBuf {
        self.at("state/cardctl/default/images")
    }

    fn no_half_files(&self) {
        let names = std::fs::read_dir(self.images()).unwrap().flatten().map(|entry| entry.file_name());
        let partial: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(".partial")).collect();
        assert!(partial.is_empty(), "{partial:?}");
    }

    /// A minikube that has what it is told to have after a load: the images of `built` with the ids that `id` says.
    fn minikube(&self, built: &serde_json::Value, id: impl Fn(&serde_json::Value) -> String) {
        let listed: Vec<_> = images(built)
            .iter()
            .map(|image| {
                let tag = format!("docker.io/{}", image["reference"].as_str().unwrap());
                serde_json::json!({ "id": id(image), "repoDigests": [], "repoTags": [tag], "size": "1" })
            })
            .collect();
        std::fs::write(self.at("will-have.json"), serde_json::to_string(&listed).unwrap()).unwrap();
        self.stand_in(
            "minikube",
            r#"echo "$@" >>said
            case "$*" in
              *"image ls --format json"*) cat has.json 2>/dev/null || echo null ;;
              *"image load /"*) cp will-have.json has.json ;;
              *) exit 14 ;;
            esac"#,
        );
    }
}

fn images(built: &serde_json::Value) -> &[serde_json::Value] {
    built["images"].as_array().unwrap()
}

fn config_id(image: &serde_json::Value) -> String {
    image["config_digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
}

/// A static program, and enough of noise behind it that to build its image takes a moment.
fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (source, out) = (dir.path().join("x.c"), dir.path().join("x"));
        std::fs::write(&source, "void _start(void) { for (;;); }\n").unwrap();
        let built = Command::new("cc").args(["-nostdlib", "-static", "-o"]).arg(&out).arg(&source).status().unwrap();
        assert!(built.success());
        let mut state = 1_u64;
        let noise = (0..2 << 20).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        std::fs::read(out).unwrap().into_iter().chain(noise).collect()
    })
}

#[test]
fn images_are_built_listed_and_verified() {
    let yard = Yard::new();
    let built = yard.build();
    assert_eq!(images(&built).len(), 3);
    assert!(images(&built).iter().all(|image| image["reused"] == false && image["present"] == true));
    let again = yard.build();
    assert!(images(&again).iter().all(|image| image["reused"] == true), "{again}");
    assert_eq!(images(&again)[0]["digest"], images(&built)[0]["digest"]);
    let listed = yard.expect(0, &["images", "list", "-o", "json"]).json();
    assert_eq!(images(&listed).len(), 3);
    let verified = yard.expect(0, &["images", "verify", "-o", "json"]).json();
    assert_eq!(verified["ok"], true);
    assert_eq!(yard.expect(0, &["images", "verify", "server"]).stdout.lines().count(), 1);
}

#[test]
fn a_single_image_can_go_into_a_file_and_all_into_a_layout() {
    let yard = Yard::new();
    yard.expect(0, &yard.build_arguments(&["worker", "--out", "here/w.tar"]));
    assert!(yard.sandbox.work().join("here/w.tar").is_file());
    assert!(yard.sandbox.work().join("here/w.cdx.json").is_file());
    yard.expect(2, &yard.build_arguments(&["--out", "all.tar"]));
    let built = yard.expect(0, &yard.build_arguments(&["--out", "all", "--layout", "-o", "json"])).json();
    yard.expect(0, &["images", "verify", built["layout"].as_str().unwrap()]);
}

#[test]
fn without_source_and_binaries_it_says_what_to_do() {
    insta::assert_snapshot!(Yard::new().sandbox.transcript(&["images", "build"]));
}

#[test]
fn with_nothing_built_it_says_what_builds() {
    let yard = Yard::new();
    insta::assert_snapshot!(yard.sandbox.transcript(&["images", "load", "--into", "docker"]));
    yard.expect(0, &["images", "list"]);
    yard.expect(3, &["images", "push", "localhost:1/cards"]);
}

#[test]
fn a_binary_that_is_missing_or_none_is_named() {
    let yard = Yard::new();
    std::fs::remove_file(yard.at("bin/card-worker")).unwrap();
    let ended = yard.expect(3, &yard.build_arguments(&["-o", "json"]));
    assert_eq!(ended.json()["error"]["code"], "no-binary");
    std::fs::write(yard.at("bin/card-worker"), "#!/bin/sh\n").unwrap();
    let ended = yard.expect(3, &yard.build_arguments(&["-o", "json"]));
    assert_eq!(ended.json()["error"]["code"], "not-elf");
}

#[test]
fn minikube_is_believed_only_by_digest() {
    let yard = Yard::new();
    let built = yard.build();
    yard.minikube(&built, config_id);
    let load = ["images", "load", "--into", "minikube", "--minikube-profile", "two", "-o", "json"];
    yard.expect(12, &["images", "verify", "--in", "minikube"]);
    let loaded = yard.expect(0, &load).json();
    assert_eq!(images(&loaded).iter().filter(|image| image["already"] == false).count(), 1, "the first brought all");
    yard.expect(0, &["images", "verify", "--in", "minikube"]);
    let said = std::fs::read_to_string(yard.at("said")).unwrap();
    assert!(said.contains("-p two image load /"), "{said}");
    let again = yard.expect(0, &load).json();
    assert!(images(&again).iter().all(|image| image["already"] == true));
}

#[test]
fn a_minikube_that_says_it_loaded_and_did_not_is_found_out() {
    let yard = Yard::new();
    yard.build();
    yard.stand_in("minikube", "case \"$*\" in *ls*) echo '[]' ;; *) echo 'X cache_images.go: no space' >&2 ;; esac");
    let ended = yard.expect(3, &["images", "load", "--into", "minikube", "-o", "json"]);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "not-loaded");
    assert!(error["message"].as_str().unwrap().contains("and does not have it"), "{error}");
    assert!(error["evidence"][0].as_str().unwrap().contains("no space"), "{error}");
}

#[test]
fn another_image_by_the_same_name_is_found_out() {
    let yard = Yard::new();
    let built = yard.build();
    yard.minikube(&built, |_| "ab".repeat(32));
    let ended = yard.expect(3, &["images", "load", "server", "--into", "minikube", "-o", "json"]);
    assert!(ended.json()["error"]["message"].as_str().unwrap().contains("another image"), "{}", ended.stdout);
    yard.expect(12, &["images", "verify", "server", "--in", "minikube"]);
}

#[test]
fn a_runtime_that_is_missing_or_down_is_not_ready() {
    let yard = Yard::new();
    yard.build();
    let mut command = yard.command(&["images", "load", "--into", "podman", "-o", "json"]);
    let ended = Ended::of(command.env("PATH", yard.at("path")).output().unwrap());
    assert_eq!((ended.code, ended.json()["error"]["code"].as_str()), (Some(3), Some("missing-program")));
    yard.stand_in("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    let ended = yard.expect(3, &["images", "load", "--into", "docker", "-o", "json"]);
    assert!(ended.json()["error"]["evidence"][0].as_str().unwrap().contains("Cannot connect"), "{}", ended.stdout);
}

#[test]
fn docker_and_podman_are_asked_for_the_image_afterwards() {
    let yard = Yard::new();
    let built = yard.build();
    for image in images(&built) {
        std::fs::write(yard.at(&format!("id-{}", config_id(image))), image["reference"].as_str().unwrap()).unwrap();
    }
    let script = r#"case "$1" in
      load) echo "$3" >>loaded ;;
      image) shift 4; [ -e loaded ] && grep -l "$1" id-* | sed 's/^id-/sha256:/'; exit 0 ;;
    esac"#;
    for program in ["docker", "podman"] {
        yard.stand_in(program, script);
        yard.expect(0, &["images", "load", "--into", program]);
        assert!(std::fs::read_to_string(yard.at("loaded")).unwrap().contains("card-server.tar"));
        std::fs::remove_file(yard.at("loaded")).unwrap();
    }
}

#[test]
fn containerd_must_have_every_blob() {
    let yard = Yard::new();
    let built = yard.build();
    let row = |image: &serde_json::Value| {
        let (name, digest) = (image["reference"].as_str().unwrap(), image["digest"].as_str().unwrap());
        format!("docker.io/{name} type {digest} complete (2/2) 1 MiB/1 MiB true\n")
    };
    std::fs::write(yard.at("table"), images(&built).iter().map(row).collect::<String>()).unwrap();
    yard.stand_in("ctr", "case \"$*\" in *import*) touch loaded ;; *) [ -e loaded ] && cat table; exit 0 ;; esac");
    yard.expect(0, &["images", "load", "--into", "containerd"]);
    let table = std::fs::read_to_string(yard.at("table")).unwrap().replace("complete (2/2)", "incomplete (1/2)");
    std::fs::write(yard.at("table"), table).unwrap();
    yard.expect(12, &["images", "verify", "--in", "containerd"]);
}

#[test]
fn a_damaged_archive_is_not_loaded() {
    let yard = Yard::new();
    let built = yard.build();
    yard.minikube(&built, config_id);
    let archive = yard.images().join("card-server.tar");
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
    yard.expect(12, &["images", "load", "server", "--into", "minikube"]);
    yard.expect(12, &["images", "verify"]);
    assert!(!std::fs::read_to_string(yard.at("said")).unwrap().contains("load"));
    yard.build();
    yard.expect(0, &["images", "load", "server", "--into", "minikube"]);
}

#[test]
fn a_build_that_is_killed_leaves_no_half_archive() {
    let yard = Yard::new();
    let mut killed = 0;
    for delay in [20, 60, 100, 150, 250, 400] {
        let mut child = yard.command(&yard.build_arguments(&[])).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        for name in ["card-server.tar", "card-worker.tar", "cardctl.tar"] {
            let path = yard.images().join(name);
            if path.exists() {
                yard.expect(0, &["images", "verify", path.to_str().unwrap()]);
            }
        }
    }
    assert!(killed > 0, "none was killed before its end");
    yard.build();
    yard.no_half_files();
    yard.expect(0, &["images", "verify"]);
}

#[test]
fn two_builds_at_once_are_both_right() {
    let yard = Yard::new();
    let arguments = yard.build_arguments(&[]);
    let children: Vec<_> = (0..3).map(|_| yard.command(&arguments).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    yard.no_half_files();
    yard.expect(0, &["images", "verify"]);
    assert_eq!(images(&yard.expect(0, &["images", "list", "-o", "json"]).json()).len(), 3);
}

#[test]
fn a_disk_that_is_full_keeps_what_was_there() {
    let yard = Yard::new();
    let before = yard.build();
    std::fs::write(yard.at("bin/card-server"), [program(), b"another"].concat()).unwrap();
    // No file may grow beyond 256 KiB: to the program it looks like a disk without room.
    let arguments = yard.build_arguments(&[]).join(" ");
    let script = format!("trap '' XFSZ; ulimit -f 512; exec \"$CARDCTL\" {arguments}");
    let ended = Ended::of(yard.sandbox.program("sh", &["-c", &script]).output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("error[unwritable]"), "{}", ended.stderr);
    yard.no_half_files();
    yard.expect(0, &["images", "verify"]);
    let listed = yard.expect(0, &["images", "list", "-o", "json"]).json();
    assert_eq!(images(&listed)[0]["digest"], images(&before)[0]["digest"]);
}

#[test]
fn a_push_to_nobody_and_without_tls_is_refused() {
    let yard = Yard::new();
    yard.build();
    let ended = yard.expect(4, &["images", "push", "127.0.0.1:1/cards", "-o", "json"]);
    assert_eq!(ended.json()["error"]["code"], "registry-unreachable");
    let ended = yard.expect(3, &["images", "push", "http://10.1.2.3:5000/cards", "-o", "json"]);
    assert_eq!(ended.json()["error"]["code"], "plain-http");
    let ended = yard.expect(2, &["images", "push", "ada:secret@ghcr.io/cards"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

/// A source tree by its looks, with a cargo and a rustc that do what a test needs.
fn tree(yard: &Yard, cargo: &str, target_libdir: &str) -> PathBuf {
    let dir = yard.at("tree");
    for (path, text) in [
        ("Cargo.lock", "version = 4\n[[package]]\nname = 'cardctl'\nversion = '1.0.0'\n"),
        ("cli/Cargo.toml", "name = \"cardctl\"\n"),
        ("server/Cargo.toml", "name = \"card-server\"\n"),
    ] {
        std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        std::fs::write(dir.join(path), text).unwrap();
    }
    yard.stand_in("cargo", cargo);
    let arch = std::env::consts::ARCH;
    yard.stand_in(
        "rustc",
        &format!("case \"$*\" in *host-tuple*) echo {arch}-unknown-linux-gnu ;; *) {target_libdir} ;; esac"),
    );
    std::fs::create_dir(yard.at("libdir")).unwrap();
    std::fs::write(yard.at("libdir/libstd-0.rlib"), "").unwrap();
    dir
}

const HAS_STD: &str = "echo \"$PWD/libdir\"";

fn in_tree(yard: &Yard, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = yard.command(arguments);
    command.current_dir(dir);
    command
}

#[test]
fn in_the_source_tree_cargo_builds_first_and_its_crates_are_listed() {
    let yard = Yard::new();
    let metadata = r#"{"packages":[{"id":"c","name":"cardctl","version":"1.0.0","license":"MIT"}],"resolve":{"nodes":[{"id":"c","deps":[]}]}}"#;
    let cargo = format!(
        r#"case "$1" in
          metadata) echo '{metadata}' ;;
          build)
            echo "$@" >said; env | grep -E '^CARGO_(ENCODED|PROFILE)' >>said
            echo '   Compiling cardctl v1.0.0' >&2
            echo '{{"reason":"compiler-artifact","target":{{"name":"cardctl"}},"executable":"'$PWD'/bin/cardctl"}}' ;;
        esac"#
    );
    let dir = tree(&yard, &cargo, HAS_STD);
    let arguments = ["images", "build", "generator", "--certificates", "../ca.pem", "-o", "json"];
    let ended = Ended::of(in_tree(&yard, &dir, &arguments).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("Compiling cardctl"), "{}", ended.stderr);
    let said = std::fs::read_to_string(yard.at("said")).unwrap();
    for part in ["--locked", "--target x86_64-unknown-linux-gnu", "+crt-static", "CARGO_PROFILE_RELEASE_STRIP=symbols"]
    {
        assert!(said.contains(&part.replace("x86_64", std::env::consts::ARCH)), "{part}: {said}");
    }
    let sbom = std::fs::read_to_string(dir.join("target/images/cardctl.cdx.json")).unwrap();
    assert!(sbom.contains("pkg:cargo/cardctl@1.0.0"), "{sbom}");
}

#[test]
fn a_build_that_fails_shows_its_last_lines() {
    let yard = Yard::new();
    let dir = tree(&yard, "echo 'error[E0425]: of a test' >&2; exit 101", HAS_STD);
    let ended = Ended::of(in_tree(&yard, &dir, &["images", "build", "-o", "json"]).output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let error = &ended.json()["error"];
    assert_eq!(
        (error["code"].as_str(), error["evidence"][0].as_str()),
        (Some("build-failed"), Some("error[E0425]: of a test"))
    );
}

#[test]
fn a_target_without_its_library_says_how_to_get_it() {
    let yard = Yard::new();
    let dir = tree(&yard, "exit 1", "echo /nowhere");
    let arguments = ["images", "build", "--platform", "linux/arm64", "-o", "json"];
    let ended = Ended::of(in_tree(&yard, &dir, &arguments).output().unwrap());
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.json()["error"]["fix"], "rustup target add aarch64-unknown-linux-gnu");
}

#[test]
fn an_interrupted_build_takes_cargo_with_it() {
    let yard = Yard::new();
    let dir = tree(&yard, "echo $$ >pid.new; mv pid.new pid; exec sleep 60", HAS_STD);
    let mut child = in_tree(&yard, &dir, &["images", "build"]).spawn().unwrap();
    eventually("cargo runs", || yard.at("pid").exists());
    let cargo: i32 = std::fs::read_to_string(yard.at("pid")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    eventually("cargo is gone", || kill(Pid::from_raw(cargo), None).is_err());
}
