//! Images as the command line makes, loads and verifies them. What belongs to others (minikube, docker, cargo) is stood
//! in for by a script on PATH.

mod compile;
mod load;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::hostile::{HOSTILE, listening, shown_by};
use crate::sandbox::{Ended, Sandbox, eventually};

pub(crate) const COMPONENTS: [&str; 3] = ["card-server", "card-worker", "card-generator"];

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
        for name in COMPONENTS {
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

/// In no order: they are built in another one than they are listed in.
fn digests(built: &serde_json::Value) -> BTreeSet<&str> {
    images(built).iter().map(|image| image["digest"].as_str().unwrap()).collect()
}

fn config_id(image: &serde_json::Value) -> String {
    image["config_digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
}

/// A static program, and enough of noise behind it that to build its image takes a moment.
pub(crate) fn program() -> &'static [u8] {
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
fn a_build_that_is_killed_leaves_no_half_archive() {
    let yard = Yard::new();
    let mut killed = 0;
    for delay in [20, 60, 100, 150, 250, 400] {
        let mut child = yard.command(&yard.build_arguments(&[])).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        for name in COMPONENTS {
            let path = yard.images().join(format!("{name}.tar"));
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
    assert_eq!(digests(&listed), digests(&before));
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

#[test]
fn text_of_a_registry_is_shown_and_acts_nowhere() {
    let yard = Yard::new();
    yard.build();
    let pushed_to_and_asked = |status| {
        let error = serde_json::json!({"code": HOSTILE, "message": HOSTILE, "detail": HOSTILE});
        let body = serde_json::json!({"errors": [error], "token": HOSTILE, "details": HOSTILE}).to_string();
        let registry = listening(move |_| (status, "application/json", body.clone()));
        let to = format!("{registry}/cards");
        let image = format!("{to}/card-server:sha-0123456789ab");
        let commands: [&[&str]; 2] = [&["images", "push", &to], &["images", "verify", &image]];
        commands.map(|command| shown_by(&yard.sandbox, command, &status.to_string(), "60")).into_iter().sum::<usize>()
    };
    let shown: usize = std::thread::scope(|scope| {
        let all = [400, 401, 403, 404, 200].map(|status| scope.spawn(move || pushed_to_and_asked(status)));
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert!(shown >= 2, "what the registry says is nowhere to be seen: {shown}");
}

/// While another process writes to the same store, which is the longest that a build can wait.
#[test]
fn the_first_signal_ends_a_build_and_what_was_there_stays() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let yard = Yard::new();
        let out = yard.at("out");
        std::fs::create_dir(&out).unwrap();
        let lock = std::fs::File::create(out.join(".lock")).unwrap();
        lock.lock().unwrap();
        let arguments =
            ["images", "build", "--binaries", "../bin", "--certificates", "../ca.pem", "--out", out.to_str().unwrap()];
        let mut command = yard.command(&arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let descriptors = format!("/proc/{}/fd", child.id());
        eventually("the build waits for its turn to write", || {
            let mut open = std::fs::read_dir(&descriptors).into_iter().flatten().flatten();
            open.any(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path == out.join(".lock")))
        });
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let ended = Ended::of(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains("0 of 3 images are written"), "{}", ended.stderr);
        let left: Vec<_> = std::fs::read_dir(&out).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, [".lock"]);
        drop(lock);
        assert_eq!(yard.run(&arguments).code, Some(0), "the same again");
    }
}
